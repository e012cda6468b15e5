# What the jobs of this folder share: the time that is left, an end in good order, and being queued
# again. They source it.
MAX_RESTARTS=${MAX_RESTARTS:-20}
command -v scale-eval >/dev/null || {
    echo "scale-eval is not on the path of $(hostname): 'source .venv/bin/activate' before sbatch" >&2
    exit 2
}
# The number of an array's job is that of its last task too, and means all of them to Slurm.
job=${SLURM_ARRAY_JOB_ID:+${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID}
job=${job:-$SLURM_JOB_ID}
attempt=$job-${SLURM_RESTART_COUNT:-0}
scratch=${SLURM_TMPDIR:-${TMPDIR:-/tmp}}  # of the node: on a network path workers wait for it
export DASK_TEMPORARY_DIRECTORY=$scratch

# Slurm tells a job to end (TERM) before its time is over, or when another takes its place.
told=0 signals=0 pid=
pass_on() { signals=$((signals + 1)); [ -z "$pid" ] || kill -TERM "$pid" 2>/dev/null; }
trap 'told=1; pass_on' TERM
trap pass_on USR1

# '--time-limit' of what is left of the job's time, less what it takes to end.
time_limit() {
    squeue -h -j "$job" -o %L | awk '/^[0-9]/ {
        n = split($0, day, "-"); m = split(day[n], part, ":")
        for (i = 1; i <= m; i++) s = s * 60 + part[i]
        s += (n > 1 ? day[1] * 86400 : 0) - 60
        print "--time-limit=" (s > 1 ? s : 1)
    }'
}

# A command in the background, so that a trap runs at once; $code is what it came to.
run_to_end() {
    local seen=$signals
    [ "$told" = 0 ] || { code=3; return; }
    "$@" &
    pid=$!
    wait "$pid"
    code=$?
    while [ "$code" -gt 128 ] && [ "$signals" -gt "$seen" ]; do  # a trap ended the wait
        seen=$signals
        wait "$pid"
        code=$?
    done
    pid=
    # Told to end before it could listen, or when it no longer did: the next attempt sees what is done.
    if [ "$code" = 143 ] && [ "$signals" -gt 0 ]; then code=3; fi
}

n_files() { find "$1/evaluations" -name '[!.]*.parquet' 2>/dev/null | wc -l; }

# Leave with $code. What is not finished is queued again, and goes on: unless that was done too
# often, or the attempt came to nothing though nobody told it to end.
leave() {
    local run=$1 before=$2
    [ "$code" = 3 ] || exit "$code"
    local now
    now=$(scontrol show job "$job" | head -n 40)
    [[ $now != *PreemptTime=[0-9]* ]] || told=1
    if [[ $now != *JobState=RUNNING* && $now != *Reason=TimeLimit* ]]; then
        echo "not finished; sbatch goes on from here" >&2  # whoever cancelled it wants no other
    elif [ "${SLURM_RESTART_COUNT:-0}" -ge "$MAX_RESTARTS" ]; then
        echo "not finished after $MAX_RESTARTS restarts (MAX_RESTARTS); sbatch goes on from here" >&2
    elif [ "$told" = 0 ] && [ "$(n_files "$run")" -le "$before" ]; then
        echo "not finished, and this attempt did nothing: it is not queued again" >&2
    else
        echo "not finished; queued again, to go on from here" >&2
        scontrol requeue "$job" || echo "it cannot be: sbatch goes on from here" >&2
    fi
    exit 3
}
