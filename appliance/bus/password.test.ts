import { hashSync } from 'bcryptjs'
import test from 'ava'
import { checkPasswordHash, hashPassword, parsePasswordHash, verifyPassword } from './password.ts'

const CHEAP = { N: 1024 }

test('a password is recognised by its hash, and no other is', async (t) => {
  const hash = await hashPassword('pröbe 1', CHEAP)
  t.regex(hash, /^scrypt\$1024\$8\$1\$/)
  t.true(await verifyPassword('pröbe 1', hash))
  t.true(await verifyPassword(Buffer.from('pröbe 1'), hash))
  t.false(await verifyPassword('pröbe 2', hash))
  t.false(await verifyPassword('', hash))
  t.false(await verifyPassword('x'.repeat(2000), hash))
})

test('the same password hashes differently each time', async (t) => {
  t.not(await hashPassword('same', CHEAP), await hashPassword('same', CHEAP))
})

test('the key is the one of RFC 7914 section 12', async (t) => {
  const key = '7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887'
  const stored = `scrypt$16384$8$1$${Buffer.from('SodiumChloride').toString('base64')}$${Buffer.from(key, 'hex').toString('base64')}`
  t.true(await verifyPassword('pleaseletmein', stored))
})

test('what is not such a hash, or costs too much, is refused as a mistake of the configuration', (t) => {
  const rest = `${Buffer.alloc(16).toString('base64')}$${Buffer.alloc(32).toString('base64')}`
  for (const bad of ['', 'plain', 'scrypt$1024$8$1$x$y', `scrypt$1000$8$1$${rest}`, `scrypt$1048576$8$1$${rest}`, `scrypt$1024$99$1$${rest}`, `scrypt$1024$8$0$${rest}`, `bcrypt$1024$8$1$${rest}`]) {
    t.throws(() => parsePasswordHash(bad), { code: 'CONFIG_INVALID' }, bad)
  }
})

test('an empty or endless password is not hashed', async (t) => {
  await t.throwsAsync(hashPassword(''), { code: 'USAGE' })
  await t.throwsAsync(hashPassword('x'.repeat(1025)), { code: 'USAGE' })
})

test('a bcrypt hash, as Node-RED and htpasswd make it, is recognised; a longer password that only begins alike is not', async (t) => {
  const stored = hashSync('pröbe 1', 4)
  for (const prefix of ['$2a$', '$2b$', '$2y$']) {
    const hash = prefix + stored.slice(4)
    t.notThrows(() => checkPasswordHash(hash))
    t.true(await verifyPassword('pröbe 1', hash), prefix)
    t.false(await verifyPassword('pröbe 2', hash), prefix)
  }
  t.true(await verifyPassword(Buffer.from('pröbe 1'), stored))
  const long = 'x'.repeat(72)
  t.true(await verifyPassword(long, hashSync(long, 4)))
  t.false(await verifyPassword(`${long}y`, hashSync(long, 4)))
})

test('a bcrypt hash that cannot be one, or costs too much, is refused as a mistake of the configuration', (t) => {
  const rest = hashSync('x', 4).slice(6)
  t.notThrows(() => checkPasswordHash(`$2b$14${rest}`))
  for (const bad of ['$2b$', `$2b$15${rest}`, `$2b$03${rest}`, `$2c$10${rest}`, `$2b$10${rest}x`, `$2b$10${rest.slice(1)}`]) t.throws(() => checkPasswordHash(bad), { code: 'CONFIG_INVALID' }, bad)
})
