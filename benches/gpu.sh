#!/usr/bin/env bash
# What a GPU must show, on a machine where nothing is built: kernels held to PyTorch's tensors, then speed, then PyTorch beside it,
# then the search of `pipelines/nb201.yaml` for as long as there is time. What is not reached is left out and said.
#
#   benches/gpu.sh BINARY [--device cuda] [--precision f32|bf16…] [--batch N…] [--steps K]
#
# BINARY       a release build of darts-run with the device's feature (`cargo build --release --features cuda`), or its .xz
# DARTS_RUN_DATA  folder with CIFAR-10: the binary files, the official .tar.gz, or a `cifar10-jpeg.pack`. Without it, pictures are drawn
# PYTHON       a Python that has PyTorch (default python3); without one its side is left out
# MODES, ROUNDS   PyTorch's modes (default: all that the device has), rounds of the comparison (default 3)
# MINUTES      for all of it (default 8). The search goes on where it was when the script is started again
# STORE        where the search's results are kept (default the project's `artifacts`)
# RESULTS      file that raw lines are added to (default benches/results/gpu_DATE.jsonl)
#
# `--device cpu` runs the same on a processor. Exit code 5: a kernel is out of tolerance; nothing is timed then.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

usage() {
    sed -n '2,17s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
    exit 2
}

(($#)) || usage
binary=$1
shift
device=cuda
precisions=(f32)
batches=(64)
steps=20
works=(nb201 darts retrain)
while (($#)); do
    case $1 in
    --device) device=${2:?} && shift 2 ;;
    --steps) steps=${2:?} && shift 2 ;;
    --batch | --work | --precision)
        option=$1 list=()
        shift
        while (($#)) && [[ $1 != --* ]]; do list+=("$1") && shift; done
        case $option in
        --batch) batches=("${list[@]}") ;;
        --work) works=("${list[@]}") ;;
        --precision) precisions=("${list[@]}") ;;
        esac
        ;;
    *) usage ;;
    esac
done

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
results=${RESULTS:-$here/results/gpu_$(date +%F).jsonl}
python=${PYTHON:-python3}
export CUDA_PATH=${CUDA_PATH:-/usr/local/cuda}

if [[ $binary == *.xz ]]; then
    xz -dc "$binary" >"$scratch/darts-run"
    binary=$scratch/darts-run
    chmod +x "$binary"
fi
"$binary" --version
if command -v nvidia-smi >/dev/null; then
    nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader || true
fi

# Says where CIFAR-10's binary files are, or nothing: all images if they are to be had, else a part.
cifar10() {
    local root=${DARTS_RUN_DATA:-} found part=
    [[ -n $root ]] || return 0
    for found in "$root" "$root"/cifar-10-batches-bin "$root"/cifar10*; do
        if [[ -f $found/data_batch_1.bin && -f $found/test_batch.bin ]]; then
            if (($(stat -c %s "$found/data_batch_1.bin") == 30730000)); then
                echo "$found"
                return
            fi
            part=$found
        fi
    done
    found=$(find -L "$root" -maxdepth 2 -name cifar-10-binary.tar.gz -print -quit)
    if [[ -n $found ]]; then
        tar -xzf "$found" -C "$scratch" >&2 && echo "$scratch/cifar-10-batches-bin"
        return
    fi
    found=$(find -L "$root" -maxdepth 2 -name cifar10-jpeg.pack -print -quit)
    if [[ -n $found ]] && "$python" "$here/unpack_cifar10.py" "$found" "$scratch/cifar10" >&2; then
        echo "$scratch/cifar10"
        return
    fi
    echo "$part"
}

printf '\n== data\n'
data=$(cifar10)
echo "CIFAR-10: ${data:-none, pictures are drawn}"

printf '\n== parity with the tensors of PyTorch, on %s\n' "$device"
"$binary" parity "$here"/../tests/golden/*.safetensors --device "$device" --kernels native

mkdir -p "$(dirname "$results")"
common=(--device "$device" --batch "${batches[@]}" --steps "$steps" --json)
printf '\n== steps on fixed images and on loaded ones\n'
for precision in "${precisions[@]}"; do
    "$binary" bench --work "${works[@]}" "${common[@]}" --precision "$precision" --with-data ${data:+--data "$data"} | tee -a "$results" ||
        echo "not all of it could be measured" >&2
done

# Seconds that are left when so many are kept for what follows.
left() {
    local seconds=$((${MINUTES:-8} * 60 - SECONDS - $1))
    echo $((seconds > 1 ? seconds : 1))
}

# The comparison may take all but two minutes: its lines are written as they come.
printf '\n== beside PyTorch\n'
if "$python" -c 'import torch' 2>/dev/null; then
    modes=(${MODES:-eager nhwc amp compile $([[ $device != cuda* ]] || echo compile-amp)})
    timeout "$(left 120)" "$python" "$here/compare.py" --binary "$binary" --python "$python" --device "$device" --precision "${precisions[@]}" \
        --work "${works[@]}" --batch "${batches[@]}" --modes "${modes[@]}" --steps "$steps" --rounds "${ROUNDS:-3}" --out "$results" ||
        echo "the comparison was not done in time: its lines so far are in $results"
else
    echo "$python has no PyTorch: its side is left out"
fi

printf '\n== a search of full size\n'
if [[ -n $data ]]; then
    # An interrupted search says so with a code of its own and goes on from its last checkpoint.
    timeout --signal INT --kill-after 20 "$(left 10)" "$binary" "$here/../pipelines/nb201.yaml" --store "${STORE:-$here/../artifacts}" \
        --set "runtime.device=$device" --set "stages.cifar10.prepare.cifar10.path=$data" ||
        echo "not done in time: started again, this goes on"
else
    echo "left out, as there is no CIFAR-10"
fi
printf '\nraw lines: %s\n' "$results"
