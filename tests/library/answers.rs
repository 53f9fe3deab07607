//! answers ROW URL KEY -- as answers.c: do what this row of docs/library.md says, and print what each call answered.
//! tests/library/test_rust.py compares.

use pixi_ws::{Client, Close, Error, Message, SendOptions, State};
use std::env;
use std::process::exit;
use std::time::Duration;

/// What a row may use.
struct Row {
    name: String,
    client: Client,
}

fn put(name: &str, close: Option<&Close>) {
    match close {
        Some(c) => println!("{name} {} {}", c.code, c.reason),
        None => println!("{name}"),
    }
}

fn say_error(e: &Error) {
    let d = e.details();
    if !matches!(e, Error::Closed(_)) && (d.layer.is_empty() || d.cause.is_empty() || d.fix.is_empty()) {
        println!("{} without layer, cause and fix", e.family());
        exit(1);
    }
    put(e.family(), d.close.as_ref());
}

fn say<T>(result: Result<T, Error>) -> Option<T> {
    match result {
        Ok(value) => {
            put("OK", None);
            Some(value)
        }
        Err(e) => {
            say_error(&e);
            None
        }
    }
}

fn tell<T>(result: Result<T, Error>) {
    say(result);
}

/// What a row does before what it asks about.
fn must<T>(result: Result<T, Error>) -> T {
    result.unwrap_or_else(|e| {
        say_error(&e);
        exit(0)
    })
}

const SOON: Duration = Duration::from_millis(50);

impl Row {
    fn is(&self, prefix: &str) -> bool {
        self.name.starts_with(prefix)
    }

    fn set(&self, member: &str, value: &str) {
        must(self.client.set(member, value));
    }

    fn connected(&self) -> &Client {
        must(self.client.connect(None));
        assert_eq!(self.client.state(), State::Open);
        &self.client
    }

    fn say_close(&self, result: Result<Close, Error>) {
        match result {
            Ok(close) => put("OK", Some(&close)),
            Err(e) => say_error(&e),
        }
    }

    fn connect(&self) {
        match self.name.as_str() {
            "connect-name" => self.set("allow_plaintext", "true"),
            "connect-settings" => self.set("allow_plaintext", "false"),
            "connect-again" => {
                self.connected();
            }
            "connect-started" => {
                must(self.client.start(true));
                say(self.client.connect(SOON));
            }
            _ => (),
        }
        let soon = matches!(self.name.as_str(), "connect-timeout" | "connect-started");
        say(self.client.connect(soon.then_some(SOON)));
    }

    fn set_row(&self) {
        say(match self.name.as_str() {
            "set-late" => self.connected().set("timeouts.close_ms", "1"),
            "set-unknown" => self.client.set("colour", "red"),
            _ => self.client.set("timeouts.close_ms", "soon"),
        });
    }

    fn queue(&self) {
        let (client, queued) = (self.connected(), SendOptions { queue: true, ..SendOptions::default() });
        let twice = if self.name == "send-flush-unanswered" { 1 } else { 2 };
        for _ in 0..twice {
            say(client.send_with("event/tram", [0; 8], &queued));
        }
        for _ in 0..twice {
            say(client.flush(if twice == 1 { SOON } else { Duration::from_secs(5) }));
        }
    }

    fn fill(&self) {
        let (client, no_wait) = (self.connected(), self.name == "send-would-block");
        let options = SendOptions { no_wait, queue: !no_wait, timeout: Some(SOON), ..SendOptions::default() };
        let e = (0..100).find_map(|_| client.send_with("event/tram", "12345678", &options).err());
        say_error(&e.expect("the queue has a bound"));
    }

    fn send(&self) {
        match self.name.as_str() {
            "send-would-block" | "send-no-room" => self.fill(),
            name if name.contains("flush") => self.queue(),
            "send-early" => tell(self.client.send_message("event/tram", "12345678")),
            "send-late" => {
                must(self.connected().close());
                say(self.client.send_message("event/tram", "12345678"));
            }
            "send-too-large" => tell(self.connected().send_message("event/tram", [0; 1025])),
            "send-bad-topic" => tell(self.connected().send_message("event/#", "1")),
            "send-unanswered" => {
                let o = SendOptions { timeout: Some(SOON), ..SendOptions::default() };
                say(self.connected().send_with("event/tram", "12345678", &o));
            }
            _ => tell(self.connected().send_message("event/tram", "12345678")),
        }
    }

    fn request(&self) {
        let unanswered = self.name == "request-unanswered";
        if unanswered {
            self.set("timeouts.connect_ms", "1000"); // how much longer than its responder the server may take
        }
        let wait = unanswered.then_some(Duration::from_millis(1));
        if let Some(reply) = say(self.connected().request("request/x", "1", wait)) {
            assert_eq!(reply.text(), Some("\"pong\""));
            assert!(reply.headers().eq([("a", "b")]), "headers");
        }
    }

    fn asked(&self) -> Message {
        must(self.client.subscribe("request/#"));
        let request = must(self.connected().recv(None));
        assert!(request.is_request());
        request
    }

    fn reply(&self) {
        match self.name.as_str() {
            "reply" => tell(self.client.reply(&self.asked(), "1")),
            "reply-error" => tell(self.client.reply_error(&self.asked(), "no trams today")),
            "reply-lost" => {
                let request = self.asked();
                assert!(matches!(self.client.recv(None), Err(Error::Lost(_))));
                say(self.connected().reply(&request, "1"));
            }
            _ => {
                let reply = must(self.connected().request("request/x", "1", None)); // which asks nothing
                say(self.client.reply(&reply, "1"));
            }
        }
    }

    fn subscribe(&self) {
        match self.name.as_str() {
            "unsubscribe-unknown" => return tell(self.client.unsubscribe("event/#")),
            "subscribe-bad-filter" => return tell(self.client.subscribe("event/#/x")),
            "subscribe-early" => return tell(self.client.subscribe("event/#")),
            "subscribe-unanswered" => self.set("timeouts.request_ms", "50"),
            _ => (),
        }
        say(self.connected().subscribe("event/#"));
        match self.name.as_str() {
            "subscribe-twice" => tell(self.client.subscribe("event/#")),
            "unsubscribe" => tell(self.client.unsubscribe("event/#")),
            _ => (),
        }
    }

    fn recv(&self) {
        match self.name.as_str() {
            "recv-timeout" => return tell(self.connected().recv(Duration::from_millis(20))),
            "recv-early" => return tell(self.client.recv(None)),
            "recv-late" => _ = must(self.connected().close()),
            _ => {
                must(self.client.subscribe("event/#"));
                self.connected();
            }
        }
        let once = matches!(self.name.as_str(), "recv-message" | "recv-unsubscribed");
        for _ in 0..if once { 1 } else { 2 } {
            if let Some(m) = say(self.client.recv(None)) {
                assert_eq!((m.topic(), m.filter(), m.text()), ("event/tram", "event/#", Some("{\"x\": 1}")));
                assert!(m.is_json() && !m.is_request() && !m.is_retained());
            }
        }
    }

    fn close(&self) {
        match self.name.as_str() {
            "close-early" => return self.say_close(self.client.close()),
            "close-code" => return self.say_close(self.connected().close_with(4001, "that is all", None)),
            "close-wrong" => return self.say_close(self.connected().close_with(1006, "", None)),
            "close-unanswered" => self.set("timeouts.close_ms", "50"),
            _ => (),
        }
        self.say_close(self.connected().close());
        if self.name == "close-twice" {
            self.say_close(self.client.close());
        } else if self.name == "close-and-connect" {
            say(self.client.connect(None));
            say(self.client.send_message("event/tram", "12345678"));
        }
    }

    fn run(&self) {
        match () {
            _ if self.is("connect") || self.is("new") => self.connect(),
            _ if self.is("set-") => self.set_row(),
            _ if self.is("send") => self.send(),
            _ if self.is("request") => self.request(),
            _ if self.is("reply") => self.reply(),
            _ if self.is("subscribe") || self.is("unsubscribe") => self.subscribe(),
            _ if self.is("recv") => self.recv(),
            _ if self.is("close") => self.close(),
            _ => exit(2),
        }
    }
}

fn main() {
    let args: Vec<String> = env::args().skip(1).collect();
    let [name, url, key] = <[String; 3]>::try_from(args).unwrap_or_else(|_| exit(2));
    let client = must(Client::new("answers", &url, Some(&key)));
    let row = Row { name, client };
    row.set("reconnect.initial_ms", "1");
    row.set("limits.message_bytes", "1024");
    row.set("limits.queue_bytes", "4096");
    row.set("timeouts.request_ms", "5000");
    row.run();
}
