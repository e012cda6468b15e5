# Functions that the jobs of this folder source: the time that is left, ending in good order, and being
# queued again.
MAX_RESTARTS=${MAX_RESTARTS:-20}
command -v scale-eval >/dev/null || {
    echo "scale-eval is not on the path of $(hostname): 'source .venv/bin/activate' before sbatch" >&2
    exit 2
}
# The job id of an array is also that of its last task, but Slurm takes it to mean all of them.
job=${SLURM_ARRAY_JOB_ID:+${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID}
job=${job:-$SLURM_JOB_ID}
attempt=$job-${SLURM_RESTART_COUNT:-0}
scratch=${SLURM_TMPDIR:-${TMPDIR:-/tmp}}  # on the node, because workers would wait for a network path
export DASK_TEMPORARY_DIRECTORY=$scratch

# Slurm sends TERM shortly before the time limit, or when another job preempts this one.
told=0 signals=0 pid=
pass_on() { signals=$((signals + 1)); [ -z "$pid" ] || kill -TERM "$pid" 2>/dev/null; }
trap 'told=1; pass_on' TERM
trap pass_on USR1

# Whether an option is among those of 'run' that follow; it is accepted only once.
is_given() { local option=$1; shift; case " $* " in *" $option "* | *" $option="*) ;; *) false ;; esac; }

# Print '--time-limit' with the job's remaining time, less the time that ending takes; nothing where
# the options of 'run' have one.
time_limit() {
    is_given --time-limit "$@" && return
    squeue -h -j "$job" -o %L | awk '/^[0-9]/ {
        n = split($0, day, "-"); m = split(day[n], part, ":")
        for (i = 1; i <= m; i++) s = s * 60 + part[i]
        s += (n > 1 ? day[1] * 86400 : 0) - 60
        print "--time-limit=" (s > 1 ? s : 1)
    }'
}

# Run a command in the background, so that traps run at once; $code is its exit code.
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
    # The signal came before or after the command handled signals: the next attempt finds what is done.
    if [ "$code" = 143 ] && [ "$signals" -gt 0 ]; then code=3; fi
}

n_files() { find "$1/evaluations" -name '[!.]*.parquet' 2>/dev/null | wc -l; }

# Exit with $code. An unfinished job is queued again and continues, unless that happened too often, or
# this attempt did nothing although nobody told it to stop.
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
