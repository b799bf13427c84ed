//! The socket in the LDB's directory: its mode, its end, another user through a read-only mount, a path that is too long.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use ::agent::Config;
use ::agent::args::{ReadArgs, SidecarArgs};

use crate::agent::{Agent, config};
use crate::client::{Client, ask};
use crate::ledger::{Ledger, TABLE};
use crate::sidecar::{Sidecar, args, filled};

const CHILD: &str = "READ_API_TEST_SOCKET";
const NOBODY: u32 = 65534;

#[tokio::test(flavor = "multi_thread")]
async fn the_agents_socket_is_there_for_as_long_as_the_agent() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::new(dir.path());
    ledger.append(&[TABLE]);
    let ldb = dir.path().join("ldb");
    let socket = ldb.join("agent.sock");
    // A killed agent left one behind.
    fs::create_dir(&ldb).unwrap();
    fs::set_permissions(&ldb, Permissions::from_mode(0o755)).unwrap();
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    let agent = Agent::start(&ldb, ledger.url()).await;
    agent.reaches(1).await;
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o666);
    let status = ask(&*socket, "GET /v1/status", "").await;
    assert_eq!((status.status, status.header("ctlstore-seq")), (200, Some("1")));
    agent.stop().await;
    assert!(!socket.exists(), "an orderly stop leaves the socket behind");

    let read = ReadArgs { read_socket: false, ..ReadArgs::default() };
    let agent = Agent::start_with(Config { read, ..config(&ldb, ledger.url()) }).await.unwrap();
    assert!(!socket.exists());
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_is_too_long_is_refused_with_the_limit_and_the_cure() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::new(dir.path());
    let ldb = dir.path().join("x".repeat(100));
    let error = Agent::start_with(config(&ldb, ledger.url())).await.err().unwrap();
    let text = format!("{error:#}");
    for words in [
        "--read-socket=false turns it off",
        "the system takes 107",
        "choose a directory with a shorter path",
    ] {
        assert!(text.contains(words), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_user_reads_through_a_read_only_mount() {
    if let Some(socket) = std::env::var_os(CHILD) {
        return child(Path::new(&socket)).await;
    }
    let test = filled();
    let socket = test.dir().join("agent.sock");
    let args = SidecarArgs { socket: Some(socket.clone()), ..args(&test) };
    let node = Sidecar::start_with(test, args).await.unwrap();
    let program = tempfile::tempdir().unwrap();
    fs::set_permissions(program.path(), Permissions::from_mode(0o755)).unwrap();
    let exe = program.path().join("test");
    fs::copy(std::env::current_exe().unwrap(), &exe).unwrap();
    let status = tokio::task::spawn_blocking({
        let dir = node.test.dir().to_owned();
        move || as_another_user(&dir, &socket, &exe)
    });
    assert!(status.await.unwrap().success());
    node.stop().await;
}

async fn child(socket: &Path) {
    let mut client = Client::connect(socket).await;
    for _ in 0..100 {
        let answer = client.send("GET /v1/row/billing/plans/free", &[], "").await;
        assert_eq!((answer.status, answer.text().as_str()), (200, r#"{"id":"free"}"#));
    }
}

/// Runs this test as one who may write nothing. Where this process may not make a mount or become another user, as in some
/// containers, that part is left out.
fn as_another_user(dir: &Path, socket: &Path, exe: &PathBuf) -> std::process::ExitStatus {
    const MOUNT: &str = r#"mount --bind "$DIR" "$DIR" && mount -o remount,bind,ro "$DIR" && ! touch "$DIR/x" 2>/dev/null"#;
    let mounted = |then: &str| {
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", &format!("{MOUNT} && {then}")]).env("DIR", dir);
        command
    };
    let works = |command: &mut Command| command.status().is_ok_and(|status| status.success());
    let drop_rights = format!("setpriv --reuid {NOBODY} --regid {NOBODY} --clear-groups");
    let mut command = if works(mounted(&format!("{drop_rights} true")).stderr(Stdio::null())) {
        let mut command = mounted(&format!(r#"exec {drop_rights} "$0" "$@""#));
        command.arg(exe);
        command
    } else {
        let mut command = Command::new(exe);
        if works(Command::new("true").uid(NOBODY).gid(NOBODY)) {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    };
    command.args([
        "--exact",
        "socket::another_user_reads_through_a_read_only_mount",
        "--nocapture",
    ]);
    command.env(CHILD, socket).stdout(Stdio::null()).status().unwrap()
}
