//! What is asked of an agent, against one that ends each answer after a few events.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};

use super::*;
use crate::changes::Follow;

/// Answers so many requests, each with what comes behind the head, then refuses connections; their heads.
fn agent(answers: &[&str]) -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answers: Vec<_> = answers.iter().map(|answer| (*answer).to_owned()).collect();
    let (send, receive) = channel();
    thread::spawn(move || {
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines().map(Result::unwrap);
            let head: Vec<_> = lines.take_while(|line| !line.is_empty()).collect();
            send.send(head.join("\n")).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    (url, receive)
}

const OK: &str = "HTTP/1.1 200 OK\r\n\r\n";

#[test]
fn it_goes_on_where_all_was_told_in_the_epoch_that_was_told_and_with_its_token() {
    let deleted = r#"data: {"seq":7,"op":"delete","family":"fam","table":"tbl"}"#;
    let first = format!(
        "{OK}event: seq\ndata: {{\"seq\":5,\"epoch\":\"legacy.1\"}}\n\nevent: change\n{deleted}\n\n"
    );
    let second = format!(
        "{OK}event: fell_behind\ndata: {{\"oldest\":3,\"epoch\":\"legacy.2\"}}\n\nevent: seq\ndata: {{\"seq\":4,\"epoch\":\"legacy.2\"}}\n\n"
    );
    let (url, heads) = agent(&[&first, &second, OK]);
    let mut changes = Follow::url(&url).token("a-secret").family("fam").open().unwrap();
    let mut told = Vec::new();
    while told.len() < 4 {
        let event = changes.next_within(Duration::from_secs(10)).unwrap().unwrap();
        told.push((event.seq().unwrap().get(), changes.resume().unwrap().to_string()));
    }
    // The entry may have deleted more rows than the one that was told before the connection ended.
    let want = [(5, "5@legacy.1"), (6, "6@legacy.1"), (3, "3@legacy.2"), (4, "4@legacy.2")];
    assert_eq!(told, want.map(|(seq, resume)| (seq, resume.to_owned())));
    drop(changes.next_within(Duration::from_millis(500)).unwrap());
    let heads: Vec<_> = heads.iter().collect();
    let targets: Vec<_> = heads.iter().map(|head| head.lines().next().unwrap()).collect();
    let target = |rest: &str| format!("GET /v1/watch?changes=true&family=fam{rest} HTTP/1.1");
    assert_eq!(
        targets,
        [target(""), target("&after=6&epoch=legacy.1"), target("&after=4&epoch=legacy.2")]
    );
    assert!(heads.iter().all(|head| head.contains("\nauthorization: Bearer a-secret")));
}

#[test]
fn however_often_it_is_asked_it_does_not_knock_more_often() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (send, knocks) = channel();
    thread::spawn(move || {
        for number in 0_u32.. {
            let (mut stream, _) = listener.accept().unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
            // Then it is busy.
            let answer = if number == 0 { OK } else { "HTTP/1.1 503 no\r\n\r\n" };
            stream.write_all(answer.as_bytes()).unwrap();
            send.send(()).unwrap();
        }
    });
    let mut changes = Follow::url(&url).open().unwrap();
    let end = Instant::now() + Duration::from_millis(700);
    while Instant::now() < end {
        assert_eq!(changes.next_within(Duration::from_millis(1)).unwrap(), None);
    }
    // At 0, 50, 150, 350 and 750 ms, and the first.
    let count = knocks.try_iter().count();
    assert!((2..=6).contains(&count), "{count} attempts");
}
