import protobuf from 'protobufjs/light.js'

/**
 * The messages of ONNX that a graph without subgraphs, sparse tensors and external data needs, with the field numbers of
 * onnx.proto3. Fields that are left out here are left out of the file.
 * @see https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3
 */
const field = (type: string, id: number) => ({ type, id })
const many = (type: string, id: number) => ({ rule: 'repeated' as const, type, id })

const root = protobuf.Root.fromJSON({
  // Without it protobufjs 8 reads the old syntax, in which repeated numbers are not packed.
  options: { syntax: 'proto3' },
  nested: {
    StringStringEntryProto: { fields: { key: field('string', 1), value: field('string', 2) } },
    OperatorSetIdProto: { fields: { domain: field('string', 1), version: field('int64', 2) } },
    TensorProto: { fields: { dims: many('int64', 1), dataType: field('int32', 2), name: field('string', 8), rawData: field('bytes', 9) } },
    Dimension: { fields: { dimValue: field('int64', 1), dimParam: field('string', 2) } },
    TensorShapeProto: { fields: { dim: many('Dimension', 1) } },
    TensorTypeProto: { fields: { elemType: field('int32', 1), shape: field('TensorShapeProto', 2) } },
    TypeProto: { fields: { tensorType: field('TensorTypeProto', 1) } },
    ValueInfoProto: { fields: { name: field('string', 1), type: field('TypeProto', 2) } },
    AttributeProto: { fields: { name: field('string', 1), f: field('float', 2), i: field('int64', 3), s: field('bytes', 4), t: field('TensorProto', 5), floats: many('float', 7), ints: many('int64', 8), strings: many('bytes', 9), type: field('int32', 20) } },
    NodeProto: { fields: { input: many('string', 1), output: many('string', 2), name: field('string', 3), opType: field('string', 4), attribute: many('AttributeProto', 5), domain: field('string', 7) } },
    GraphProto: { fields: { node: many('NodeProto', 1), name: field('string', 2), initializer: many('TensorProto', 5), input: many('ValueInfoProto', 11), output: many('ValueInfoProto', 12) } },
    ModelProto: { fields: { irVersion: field('int64', 1), producerName: field('string', 2), producerVersion: field('string', 3), graph: field('GraphProto', 7), opsetImport: many('OperatorSetIdProto', 8), metadataProps: many('StringStringEntryProto', 14) } },
  },
})
export const ModelProto = root.lookupType('ModelProto')

/** TensorProto.DataType */
export const DATA_TYPES = { float32: 1, uint8: 2, int8: 3, uint16: 4, int16: 5, int32: 6, int64: 7, string: 8, bool: 9, float16: 10, float64: 11, uint32: 12, uint64: 13 } as const
export type DataType = keyof typeof DATA_TYPES
/** AttributeProto.AttributeType */
export const ATTRIBUTE_TYPES = { float: 1, int: 2, string: 3, tensor: 4, floats: 6, ints: 7, strings: 8 } as const
