//! Completions of shells: they are scripts that the shell takes.

use std::io::Write as _;
use std::process::{Command, Stdio};

use testkit::program::Program;

#[tokio::test]
async fn every_shell_gets_a_script_that_knows_the_commands() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ended = Program::run(&["completions", shell]).await.unwrap();
        assert_eq!((ended.code(), ended.stderr.as_str()), (Some(0), ""), "{shell}");
        for words in ["ctlstore", "doctor", "completions", "log-filter-file"] {
            assert!(ended.stdout.contains(words), "{shell}: no {words}");
        }
    }
    let ended = Program::run(&["completions", "tcsh"]).await.unwrap();
    assert_eq!(ended.code(), Some(2), "{ended:?}");
    assert!(ended.stderr.contains("bash"), "{ended:?}");
}

#[tokio::test]
async fn bash_completes_a_command_and_a_flag() {
    let script = Program::run(&["completions", "bash"]).await.unwrap().stdout;
    let complete = |line: &str| {
        let words: Vec<_> = line.split(' ').collect();
        let last = words.len() - 1;
        let ask = format!(
            "\nCOMP_WORDS=({line}); [ ${{#COMP_WORDS[@]}} -gt {last} ] || COMP_WORDS+=('')\nCOMP_CWORD={last}; _ctlstore ctlstore \"${{COMP_WORDS[{last}]}}\" \"${{COMP_WORDS[{last}-1]}}\"; echo \"${{COMPREPLY[@]}}\"\n",
        );
        let mut command = Command::new("bash");
        let mut bash =
            command.arg("-s").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        bash.stdin.take().unwrap().write_all((script.clone() + &ask).as_bytes()).unwrap();
        let output = bash.wait_with_output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    assert_eq!(complete("ctlstore doc"), "doctor");
    assert_eq!(complete("ctlstore status --wat"), "--watch");
}
