//! A child process on a leash. It ends when its owner drops the leash, and also when the owner's process ends for any
//! reason.
//!
//! The leash is a pipe. A small shell runs between us and the program, and reads one end of the pipe. The kernel closes
//! our end when we drop it, panic, or are killed with SIGKILL. The shell then kills the program. (Linux' parent-death
//! signal would not work: it follows the *thread* that started the child, and a test's thread ends long before the last
//! test that uses the control plane.)

use std::{
    ffi::OsStr,
    fs, io,
    os::unix::process::CommandExt,
    path::Path,
    process::{ChildStderr, ChildStdin, Command, ExitStatus, Stdio},
    thread::{self, JoinHandle},
};

use tokio::sync::watch;

/// Runs `"$@"` until it ends by itself or standard input ends, and passes its exit status on.
///
/// Two processes watch, so that the program also ends if one of them is killed: the subshell holds the leash and
/// outlives the shell. The program gets neither the leash nor a terminal. No other process holds its standard output
/// and standard error.
const LEASH: &str = r#"
exec 3<&0
"$@" 3<&- </dev/null &
program=$!
{ read -r _ <&3; kill -9 "$program"; } >/dev/null 2>&1 &
watcher=$!
exec 3<&- </dev/null >/dev/null 2>&1
wait "$program"
status=$?
kill -9 "$watcher"
exit "$status"
"#;

/// A command that runs `program` on a leash. The caller adds arguments, environment and the target of the output.
pub(crate) fn leashed(program: impl AsRef<OsStr>) -> Command {
    let mut command = script(LEASH);
    command.arg(program);
    command
}

/// A command that runs a shell script. The script's standard input ends when the leash is dropped.
pub(crate) fn script(text: &str) -> Command {
    let mut command = Command::new("sh");
    command.arg("-c").arg(text).arg("control-plane");
    command
}

/// A running process. Dropping it drops the leash and waits for the process to end, which takes milliseconds.
pub(crate) struct Process {
    leash: Option<ChildStdin>,
    stderr: Option<ChildStderr>,
    ended: watch::Receiver<Option<ExitStatus>>,
    waiter: Option<JoinHandle<()>>,
}

impl Process {
    /// Starts a command made by [`leashed`] or [`script`].
    ///
    /// It gets its own process group: Ctrl-C in a terminal then reaches only us, and the child ends when we end.
    pub(crate) fn start(mut command: Command) -> io::Result<Self> {
        let mut child = command.stdin(Stdio::piped()).process_group(0).spawn()?;
        let leash = child.stdin.take();
        let stderr = child.stderr.take();
        let (sender, ended) = watch::channel(None);
        // A thread, not a task: tests that each have a runtime may share the process, and it may outlive all these
        // runtimes.
        let waiter = thread::Builder::new().name("child-waiter".to_owned()).spawn(move || {
            if let Ok(status) = child.wait() {
                sender.send_replace(Some(status));
            }
        })?;
        Ok(Self { leash, stderr, ended, waiter: Some(waiter) })
    }

    /// The program's standard error, if the command asked for a pipe. It can be taken only once.
    pub(crate) fn take_stderr(&mut self) -> Option<ChildStderr> {
        self.stderr.take()
    }

    /// Waits until the process has ended, and returns its exit status.
    pub(crate) async fn ended(&self) -> io::Result<ExitStatus> {
        let mut ended = self.ended.clone();
        let status = *ended.wait_for(Option::is_some).await.map_err(|_| nobody_saw_the_end())?;
        status.ok_or_else(nobody_saw_the_end)
    }

    /// The same for a thread that may block.
    pub(crate) fn wait(mut self) -> io::Result<ExitStatus> {
        self.join();
        let status = *self.ended.borrow();
        status.ok_or_else(nobody_saw_the_end)
    }

    fn join(&mut self) {
        if let Some(waiter) = self.waiter.take() {
            // The thread cannot panic, and its result is in the channel.
            let _ = waiter.join();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.leash.take();
        self.join();
    }
}

fn nobody_saw_the_end() -> io::Error {
    io::Error::other("the exit status of a child process is lost")
}

/// The last lines of a log (at most 25 lines and 6 KiB), for an error message. Empty if there is no log.
pub(crate) fn log_tail(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    last_lines(&String::from_utf8_lossy(&text))
}

/// The last lines of a text: at most 25 lines and about 6 KiB.
pub(crate) fn last_lines(text: &str) -> String {
    const LINES: usize = 25;
    const BYTES: usize = 6 * 1024;
    let text = &text[text.ceil_char_boundary(text.len().saturating_sub(BYTES))..];
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use std::{
        io::{BufRead, BufReader, Read},
        time::{Duration, Instant},
    };

    use super::*;

    /// A program that prints that it runs, and would continue for an hour. Its standard error is the pipe to read.
    fn long_program() -> Command {
        let mut command = leashed("sh");
        command.arg("-c").arg("echo running >&2; exec sleep 3600").stderr(Stdio::piped());
        command
    }

    #[test]
    fn dropping_the_leash_ends_the_program() {
        let mut process = Process::start(long_program()).unwrap();
        let mut stderr = BufReader::new(process.take_stderr().unwrap());
        let mut line = String::new();
        stderr.read_line(&mut line).unwrap();
        assert_eq!(line, "running\n");

        let before = Instant::now();
        drop(process);
        // The pipe ends when the program ends, because no other process holds it.
        let rest = stderr.read_to_string(&mut line).unwrap();
        assert_eq!(rest, 0);
        assert!(before.elapsed() < Duration::from_secs(60), "the program ran to its own end");
    }

    #[test]
    fn the_exit_status_of_the_program_is_passed_on() {
        let mut command = leashed("sh");
        command.args(["-c", "exit 7"]);
        assert_eq!(Process::start(command).unwrap().wait().unwrap().code(), Some(7));
    }

    #[tokio::test]
    async fn the_end_of_the_program_is_noticed_while_the_leash_is_held() {
        let mut command = leashed("sh");
        command.args(["-c", "exit 3"]);
        let process = Process::start(command).unwrap();
        let status = tokio::time::timeout(Duration::from_secs(30), process.ended()).await.unwrap().unwrap();
        assert_eq!(status.code(), Some(3));
    }

    #[test]
    fn arguments_reach_the_program_as_they_are() {
        let mut command = leashed("printf");
        command.args(["%s|", "two words", "$HOME", "'quoted'", ""]).stderr(Stdio::null()).stdout(Stdio::null());
        assert!(Process::start(command).unwrap().wait().unwrap().success());

        let mut command = leashed("sh");
        command.args(["-c", "[ \"$1\" = 'a  $b' ] && [ $# = 1 ]", "sh", "a  $b"]);
        assert!(Process::start(command).unwrap().wait().unwrap().success());
    }

    #[test]
    fn the_last_lines_are_few_and_short_and_never_cut_a_character() {
        let many: String = (0..100).map(|number| format!("{number}\n")).collect();
        assert_eq!(last_lines(&many).lines().collect::<Vec<_>>().len(), 25);
        assert!(last_lines(&many).ends_with("98\n99"));
        let wide = "é".repeat(10_000);
        assert!(last_lines(&wide).len() <= 6 * 1024);
        assert!(last_lines(&format!("x{wide}")).chars().all(|character| character == 'é'));
        assert_eq!(last_lines(""), "");
    }
}
