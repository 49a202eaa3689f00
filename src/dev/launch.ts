/**
 * The Python program that becomes Synapse. Its standard input is a pipe that its parent never writes to: the end of
 * that pipe is the end of the parent, however it ended, so no homeserver outlives whoever started it. The lock goes
 * with the process, so a successor waits for the database until the one before has let go of it.
 */
export const launcher = `
import fcntl, os, signal, sys, threading, time

def follow_parent():
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(10)
    os.kill(os.getpid(), signal.SIGKILL)

threading.Thread(target=follow_parent, daemon=True).start()
config, lock_path = sys.argv[1:]
lock = open(lock_path, "a")
for attempt in range(100):
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        break
    except BlockingIOError:
        time.sleep(0.1)
else:
    sys.exit("another Synapse runs on this folder")
sys.argv = ["synapse", "--config-path", config]
from synapse.app.homeserver import main
main()
`;
