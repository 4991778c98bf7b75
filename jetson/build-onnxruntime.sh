#!/usr/bin/env bash
# Builds onnxruntime with CUDA and TensorRT for a Jetson with JetPack 6, with its Node binding, puts it where
# onnxruntime-node looks for it, and proves what runs. Written from the documentation of onnxruntime; not yet run on a board.
set -euo pipefail

readonly CUDA_HOME=${CUDA_HOME:-/usr/local/cuda}
# JetPack installs cuDNN and TensorRT as Debian packages.
readonly LIBRARIES=/usr/lib/aarch64-linux-gnu
readonly INCLUDES=/usr/include/aarch64-linux-gnu
# Orin: compute capability 8.7. https://developer.nvidia.com/cuda-gpus
readonly CUDA_ARCHITECTURE=87
readonly LEAST_DISK_GB=25
readonly LEAST_MEMORY_GB=12
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
readonly ROOT
readonly PACKAGE=$ROOT/node_modules/onnxruntime-node
readonly BINDINGS=$PACKAGE/bin/napi-v6/linux/arm64
readonly PROVIDERS=(shared cuda tensorrt)

only_check=
only_install=
with_tensorrt=yes
jobs=
source_dir=

usage() {
  cat <<'TEXT'
jetson/build-onnxruntime.sh [--check] [--install-only] [--no-tensorrt] [--jobs N] [--source FOLDER] [--help]

Builds, on a Jetson Orin with JetPack 6, the onnxruntime of the version that npm installed, with the CUDA and TensorRT
execution providers and the Node binding; copies it over the CPU-only one of npm; proves by profiling what runs.
It takes some hours, and needs 25 GB of disk and 12 GB of memory and swap together.

  --check          only look whether everything needed is there
  --install-only   install what was built before (after npm ci, which puts npm's own binding back)
  --no-tensorrt    CUDA only
  --jobs N         compile N files at once (default: one for each 4 GB of memory, at most one a core)
  --source FOLDER  sources of onnxruntime that are there already (default: they are cloned into .cache/jetson)

Ends with 0 when a model ran on CUDA, with 1 when something is missing or does not work, with 2 for a wrong command line.
TEXT
}

say() { printf '%s\n' "$*" >&2; }
ok() { say "✓ $*"; }
fail() { say "✗ $1"; shift; for hint in "$@"; do say "  $hint"; done; exit 1; }
wrong() { say "✗ $1"; usage >&2; exit 2; }

while [ $# -gt 0 ]; do
  case $1 in
    --check) only_check=yes ;;
    --install-only) only_install=yes ;;
    --no-tensorrt) with_tensorrt= ;;
    --jobs) [ $# -ge 2 ] || wrong '--jobs needs a number'; jobs=$2; shift ;;
    --source) [ $# -ge 2 ] || wrong '--source needs a folder'; source_dir=$2; shift ;;
    --help | -h) usage; exit 0 ;;
    *) wrong "unknown: $1" ;;
  esac
  shift
done
case $jobs in '' | [1-9] | [1-9][0-9]) ;; *) wrong "--jobs $jobs is no number from 1 to 99" ;; esac

# What is missing is told all at once, not one thing a run.
problems=0
problem() { say "✗ $1"; shift; for hint in "$@"; do say "  $hint"; done; problems=$((problems + 1)); }

check_board() {
  local release=/etc/nv_tegra_release
  [ "$(uname -m)" = aarch64 ] || fail "this is no Jetson: $(uname -m)" 'On an x86-64 machine with an NVIDIA GPU: npm run setup:cuda'
  [ -r "$release" ] || fail "this is no Jetson: $release is missing" 'It comes with Jetson Linux.'
  local major
  major=$(sed -n 's/^# R\([0-9]*\) .*/\1/p' "$release" | head -n 1)
  if [ "$major" = 36 ]; then ok "Jetson Linux R$major (JetPack 6)"; else problem "Jetson Linux R${major:-?}; this was written for R36 (JetPack 6)" 'Flash JetPack 6.1 or newer.'; fi
}

check_toolkit() {
  local cuda
  if cuda=$("$CUDA_HOME/bin/nvcc" --version 2>/dev/null | sed -n 's/.*release \([0-9.]*\).*/\1/p') && [ "${cuda%%.*}" = 12 ]; then ok "CUDA $cuda"; else problem "no CUDA 12 compiler in $CUDA_HOME" 'sudo apt-get install cuda-toolkit-12-6   (or set CUDA_HOME)'; fi
  local cudnn
  cudnn=$(sed -n 's/^#define CUDNN_MAJOR *//p' "$INCLUDES"/cudnn_version*.h /usr/include/cudnn_version*.h 2>/dev/null | head -n 1 || true)
  if [ "${cudnn:-0}" -ge 9 ]; then ok "cuDNN $cudnn"; else problem "cuDNN 9 is missing (found: ${cudnn:-none})" 'sudo apt-get install libcudnn9-dev-cuda-12   (JetPack 6.1 and newer bring it)'; fi
  [ -n "$with_tensorrt" ] || return 0
  local tensorrt
  tensorrt=$(sed -n 's/^#define \(NV_TENSORRT_MAJOR\|TRT_MAJOR_ENTERPRISE\) *\([0-9][0-9]*\).*/\2/p' "$INCLUDES"/NvInferVersion.h 2>/dev/null | head -n 1 || true)
  if [ "${tensorrt:-0}" -ge 10 ]; then ok "TensorRT $tensorrt"; else problem "TensorRT 10 is missing (found: ${tensorrt:-none})" 'sudo apt-get install libnvinfer-dev libnvonnxparsers-dev   (JetPack 6.1 and newer bring 10.3), or --no-tensorrt'; fi
}

check_tools() {
  local tool
  for tool in git g++ make python3 npm; do
    command -v "$tool" >/dev/null || problem "$tool is missing" 'sudo apt-get install git build-essential python3 python3-venv npm'
  done
  python3 -c 'import venv, sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null || problem 'Python 3.10 with venv is missing' 'sudo apt-get install python3-venv'
  [ -x "$ROOT/node_modules/.bin/node" ] || problem 'the packages of this project are not installed' 'npm start -- --help   (sets everything up)'
}

check_room() {
  local disk memory
  disk=$(df -BG --output=avail "$ROOT" | tail -n 1 | tr -dc 0-9)
  [ "$disk" -ge $LEAST_DISK_GB ] || problem "$disk GB of disk are free; $LEAST_DISK_GB are needed" "Give another disk's folder with --source."
  memory=$(awk '/^(MemTotal|SwapTotal):/ { kb += $2 } END { printf "%d", kb / 1000000 }' /proc/meminfo)
  [ "$memory" -ge $LEAST_MEMORY_GB ] || problem "$memory GB of memory and swap; the CUDA compiler needs $LEAST_MEMORY_GB" 'Add swap: sudo fallocate -l 16G /swap && sudo chmod 600 /swap && sudo mkswap /swap && sudo swapon /swap'
  if [ -z "$jobs" ]; then
    jobs=$((memory / 4))
    [ "$jobs" -ge 1 ] || jobs=1
    [ "$jobs" -le "$(nproc)" ] || jobs=$(nproc)
  fi
}

build() {
  local source=$1 version=$2
  if [ -d "$source/.git" ]; then
    ok "sources are in $source"
  else
    say "  cloning onnxruntime $version …"
    git clone --quiet --depth 1 --branch "v$version" --recurse-submodules --shallow-submodules https://github.com/microsoft/onnxruntime.git "$source"
  fi
  local found
  found=$(cat "$source/VERSION_NUMBER")
  [ "$found" = "$version" ] || fail "the sources are of onnxruntime $found; npm installed $version" 'The binding and its JavaScript must be of one version.'
  # Ubuntu 22.04 has CMake 3.22; onnxruntime asks for 3.28.
  local tools=$ROOT/.cache/jetson/tools
  [ -x "$tools/bin/cmake" ] || { python3 -m venv "$tools"; "$tools/bin/pip" install --quiet 'cmake>=3.28,<4' packaging numpy setuptools wheel; }
  local flags=(--use_cuda --cuda_home "$CUDA_HOME" --cudnn_home "$LIBRARIES")
  [ -z "$with_tensorrt" ] || flags+=(--use_tensorrt --tensorrt_home "$LIBRARIES")
  [ "$(id -u)" -ne 0 ] || flags+=(--allow_running_as_root)
  say "  building with $jobs jobs; this takes hours …"
  # https://onnxruntime.ai/docs/build/eps.html#nvidia-jetson-tx1tx2nanoxavierorin
  (cd "$source" && PATH="$tools/bin:$ROOT/node_modules/.bin:$CUDA_HOME/bin:$PATH" CUDACXX="$CUDA_HOME/bin/nvcc" ./build.sh \
    --config Release --update --build --build_shared_lib --build_nodejs --skip_tests --skip_nodejs_tests \
    --parallel "$jobs" --nvcc_threads 1 --compile_no_warning_as_error --cmake_extra_defines "CMAKE_CUDA_ARCHITECTURES=$CUDA_ARCHITECTURE" "${flags[@]}")
}

# Keeps what was built beside the project's other caches: npm ci empties node_modules.
keep() {
  local source=$1 kept=$2 name file
  local js=$source/js/node/bin/napi-v6/linux/arm64 release=$source/build/Linux/Release
  rm -rf "$kept.new"
  mkdir -p "$kept.new"
  [ -f "$js/onnxruntime_binding.node" ] || fail "the build made no Node binding ($js/onnxruntime_binding.node)" 'See what it said about node and npm.'
  cp "$js/onnxruntime_binding.node" "$kept.new/"
  cp -L "$release/libonnxruntime.so.1" "$kept.new/libonnxruntime.so.1"
  for name in "${PROVIDERS[@]}"; do
    file=$release/libonnxruntime_providers_$name.so
    if [ -f "$file" ]; then cp "$file" "$kept.new/"; elif [ "$name" != tensorrt ] || [ -n "$with_tensorrt" ]; then fail "the build made no $file"; fi
  done
  rm -rf "$kept"
  mv "$kept.new" "$kept"
}

install_binding() {
  local kept=$1 file name
  [ -f "$kept/onnxruntime_binding.node" ] || fail "nothing was built yet for this version ($kept)" 'Run without --install-only.'
  # A process that has the old file open keeps it: a new name is moved over it.
  for file in "$kept"/*; do
    name=$(basename "$file")
    cp "$file" "$BINDINGS/.$name.new"
    mv -f "$BINDINGS/.$name.new" "$BINDINGS/$name"
  done
  ok "installed in $BINDINGS"
}

prove() {
  local node=$ROOT/node_modules/.bin/node
  if [ -n "$with_tensorrt" ]; then
    say '  TensorRT builds an engine at the first load, which takes up to minutes …'
    "$node" --no-warnings "$ROOT/setup/providers.ts" tensorrt || say '  Models run on CUDA all the same.'
  fi
  "$node" --no-warnings "$ROOT/setup/providers.ts" cuda || fail 'CUDA does not run models: they stay on the CPU'
  ok 'CUDA runs models. Restart the appliance, then see: npx mtor inference status'
}

check_board
[ -d "$PACKAGE" ] || fail 'the packages of this project are not installed' 'npm start -- --help   (sets everything up)'
version=$(sed -n 's/^ *"version": *"\([0-9.]*\)".*/\1/p' "$PACKAGE/package.json" | head -n 1)
kept=$ROOT/.cache/jetson/onnxruntime-$version
if [ -z "$only_install" ]; then
  check_toolkit
  check_tools
  check_room
  [ "$problems" -eq 0 ] || exit 1
  ok "everything is there to build onnxruntime $version"
  [ -z "$only_check" ] || exit 0
  mkdir -p "$ROOT/.cache/jetson"
  source_dir=${source_dir:-$ROOT/.cache/jetson/onnxruntime}
  build "$source_dir" "$version"
  keep "$source_dir" "$kept"
fi
install_binding "$kept"
prove
