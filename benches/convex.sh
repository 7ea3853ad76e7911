#!/usr/bin/env bash
# Makes docs/benchmarks/convex.md anew. Usage: bash benches/convex.sh [FOLDER OR FILES] [OPTIONS]
#
# Takes the arguments of the example `suite`; by default the folder libsvm of RAPHSON_DATA and
# 20 CPU seconds a run. Rows in target/suite made by the same executable are used again.
set -euo pipefail
cd "$(dirname "$0")/.."

out=target/suite
page=docs/benchmarks/convex.md
if [ $# -eq 0 ]; then
    set -- "${RAPHSON_DATA:?names the folder of data}/libsvm" --time-limit 20
fi
cargo build --release --all-features --example suite
code=0
target/release/examples/suite "$@" --out "$out" >/dev/null || code=$?
# A solver that does not reach the accuracy is a result.
[ "$code" -eq 0 ] || [ "$code" -eq 3 ] || exit "$code"

mkdir -p docs/benchmarks
cp "$out"/profile-seconds.svg "$out"/profile-calls.svg docs/benchmarks/
{
    cat <<EOF
# Convex benchmark

Logistic regression on LIBSVM files: mean of log(1 + exp(-y a'w)) plus mu/2 |w|^2, started at
zero, on one machine ($(lscpu 2>/dev/null | sed -n 's/^Model name: *//p'), load at the end
$(cut -d' ' -f1 /proc/loadavg 2>/dev/null || echo unknown)). Made by
\`bash benches/convex.sh\`, which runs the example \`suite\`; the head of \`examples/suite/main.rs\`
says what is measured and how. Seconds on other machines differ; ratios are what to look at, and
those of runs of a millisecond or less are rough.

Columns: CPU seconds and their ratio to the fastest; iterations; evaluations of f, of the gradient g
and of the Hessian H, and products Hv that the model computed or argmin asked of a matrix (basin's
products with a dense H are not seen). \`fit\` starts from fits of samples of the rows and
evaluates Hessians of others; each evaluation counts as its share of the rows, so that f, g and H may be fractions. All solvers, those of argmin and basin too, call
the same model. Runs that did not reach the gradient norm are not ranked. A solver that needs a
dense H is not run where that exceeds 0.5 GiB.

![Performance profile by CPU seconds](profile-seconds.svg)

![Performance profile by oracle calls](profile-calls.svg)

EOF
    sed '/^!\[Convergence\]/,+1d' "$out/results.md"
} >"$page"
echo "$page"
