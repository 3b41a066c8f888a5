# The daily commands; CONTRIBUTING.md says when which is wanted, and what to type without `just`.

# Lists the commands.
_default:
    @just --list --unsorted

# Compiles and lints everything: all packages, their tests and benches.
check:
    cargo fmt --all --check
    cargo clippy --all-targets -- -D warnings

# Runs the tests of one room: `just test space`, `just test kernels`, `just test cli`.
test room:
    #!/usr/bin/env bash
    set -euo pipefail
    case "{{ room }}" in
        data | games | kernels | machine) cargo test -p "darts-{{ room }}" ;;
        cli) cargo test -p darts-run --lib cli:: && cargo test -p darts-run --test cli ;;
        *) cargo test -p darts-run --lib "{{ room }}::" ;;
    esac

# What finds most faults in under three minutes once everything is built.
quick: check
    cargo test -p darts-run --lib --test architecture --test shipped

# Everything that a change must pass, as on a fresh clone.
ci:
    .ci/run

# Measures a kind of work: `just bench --work nb201 --batch 64`.
bench *arguments:
    cargo run --release -- bench {{ arguments }}
