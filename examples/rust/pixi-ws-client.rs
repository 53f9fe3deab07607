//! pixi-ws-client-rust [--settings FILE] [--listen FILTER]... [TOPIC [MESSAGE...]]
//!
//! Connects as the settings say, sends each MESSAGE, or each line of standard input, to TOPIC, and prints every message that
//! comes, until Ctrl-C, SIGTERM, or the server's close. Ends with the exit codes of pixi-ws-client (docs/exit-codes.md).

use pixi_ws::{Client, Error, State};
use std::io::Write;
use std::os::raw::{c_int, c_ulong};
use std::path::Path;
use std::{env, io, process, thread};

// From libc: wait for signals as for anything else.
extern "C" {
    fn sigemptyset(set: *mut [c_ulong; 16]) -> c_int;
    fn sigaddset(set: *mut [c_ulong; 16], signal: c_int) -> c_int;
    fn pthread_sigmask(how: c_int, set: *const [c_ulong; 16], old: *mut [c_ulong; 16]) -> c_int;
    fn sigwait(set: *const [c_ulong; 16], signal: *mut c_int) -> c_int;
}
const SIG_BLOCK: c_int = 0;
const SIGINT: c_int = 2;
const SIGTERM: c_int = 15;

/// Blocked in this thread and those it starts, so that only sigwait gets them.
fn block_signals() -> [c_ulong; 16] {
    let mut set = [0; 16];
    unsafe {
        sigemptyset(&mut set);
        sigaddset(&mut set, SIGINT);
        sigaddset(&mut set, SIGTERM);
        pthread_sigmask(SIG_BLOCK, &set, std::ptr::null_mut());
    }
    set
}

/// What a program can do about each family of errors; here, say it.
fn say(e: &Error) {
    let family = match e {
        Error::Settings(_) => "the settings are wrong",
        Error::Name(_) => "the server's name is unknown",
        Error::Connect(_) => "the server cannot be reached",
        Error::Tls(_) => "the server is not trusted",
        Error::Upgrade(_) => "that is no Pixi server",
        Error::Key(_) => "the API key does not do",
        Error::Protocol(_) => "the protocol was broken",
        Error::Timeout(_) => "time is up",
        Error::Closed(_) => "the connection is closed",
        Error::NoResponder(_) => "nobody answers there",
        Error::Full(_) => "the queue is full",
        Error::Lost(_) => "the connection is lost, connecting again",
        Error::TooLarge(_) => "the message is too large",
        Error::Usage(_) => "that cannot be asked for",
        Error::Failed(_) => "the server could not do it",
        _ => "something else is wrong",
    };
    eprintln!("{family}\n{e}");
}

fn send(client: &Client, topic: &str, messages: &[String]) -> Result<(), Error> {
    for message in messages {
        client.send_message(topic, message)?;
    }
    if messages.is_empty() {
        for line in io::stdin().lines().map_while(Result::ok) {
            client.send_message(topic, line)?;
        }
    }
    Ok(())
}

fn receive(client: &Client) -> Result<(), Error> {
    loop {
        match client.recv(None) {
            Ok(m) => {
                let printed = writeln!(io::stdout(), "{} {}", m.topic(), String::from_utf8_lossy(m.payload()));
                if printed.is_err() {
                    return Ok(()); // whoever read it has gone
                }
            }
            Err(Error::Closed(why)) if why.close.as_ref().map_or(true, |c| c.code == 1000) => return Ok(()),
            Err(e) if matches!(e, Error::Lost(_)) || client.state() == State::Open => say(&e),
            Err(e) => return Err(e),
        }
    }
}

fn run() -> Result<(), Error> {
    let signals = block_signals();
    let (mut settings, mut filters, mut rest) = (None, vec![], vec![]);
    let mut args = env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--settings" | "-s" if rest.is_empty() => settings = args.next(),
            "--listen" | "-l" if rest.is_empty() => filters.extend(args.next()),
            _ => rest.push(arg),
        }
    }
    let client = Client::from_settings(settings.as_deref().map(Path::new))?;
    filters.iter().try_for_each(|filter| client.subscribe(filter))?;

    // A client may be used from any thread: here one waits for signals, one sends, one receives.
    let client: &'static Client = Box::leak(Box::new(client));
    thread::spawn(move || unsafe {
        let mut signal = 0;
        sigwait(&signals, &mut signal);
        if client.close().is_err() {
            process::exit(0); // it was not connected
        }
    });
    client.connect(None)?;
    eprintln!("connected with result code 0");
    if let Some((topic, messages)) = rest.split_first() {
        let (topic, messages) = (topic.clone(), messages.to_vec());
        thread::spawn(move || match send(client, &topic, &messages) {
            Err(Error::Closed(_)) | Ok(()) => (),
            Err(e) => {
                say(&e);
                process::exit(e.code());
            }
        });
    }
    receive(client)
}

fn main() {
    if let Err(e) = run() {
        eprintln!("ended with result code {}", e.code());
        say(&e);
        process::exit(e.code());
    }
}
