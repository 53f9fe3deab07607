//! What went wrong, by family.

use pixi_ws_sys as sys;
use std::ffi::CStr;
use std::fmt;
use std::os::raw::c_char;
use std::time::Duration;

/// How the peer closed the connection: code and reason of RFC 6455 §7.4.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Close {
    pub code: u16,
    pub reason: String,
}

/// An error in words that a person can act on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Details {
    /// `"settings"`, `"name"`, `"tcp"`, `"tls"`, `"upgrade"`, `"key"`, `"protocol"`, `"request"`, ...
    pub layer: String,
    /// What happened.
    pub cause: String,
    /// What to do about it.
    pub fix: String,
    /// The clause that the peer broke, such as `"RFC 6455 §5.5"`; else empty.
    pub clause: String,
    /// The error's name in docs/errors.md, such as `"WS_PONG"`.
    pub name: String,
    /// Trying again unchanged cannot help.
    pub is_final: bool,
    /// The peer's close code and reason, if they came.
    pub close: Option<Close>,
    /// When it is tried again, or when the server asks to try again.
    pub retry_after: Option<Duration>,
}

/// Why a call did not succeed: one variant for each thing that a program does differently.
///
/// ```
/// use pixi_ws::{Client, Error};
///
/// match Client::new("tram-7", "http://127.0.0.1/", None) {
///     Err(Error::Settings(why)) => assert!(why.cause.contains("url")),
///     other => panic!("{other:?}"),
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The server answered with an error that has no family of its own.
    Failed(Box<Details>),
    /// The call itself is wrong: a bad topic, too early, too late.
    Usage(Box<Details>),
    /// The settings are wrong; a line for each mistake in `cause`.
    Settings(Box<Details>),
    /// The host's name cannot be looked up.
    Name(Box<Details>),
    /// Nobody listens there, or no way leads there.
    Connect(Box<Details>),
    /// Certificate, name, version, pin.
    Tls(Box<Details>),
    /// The server refused the WebSocket upgrade, or is none.
    Upgrade(Box<Details>),
    /// The API key is not valid, or does not allow this.
    Key(Box<Details>),
    /// The server broke the protocol, or says that this side did.
    Protocol(Box<Details>),
    /// Time is up.
    Timeout(Box<Details>),
    /// There is no connection any more: closed by the peer, or by [`Client::close`](crate::Client::close).
    Closed(Box<Details>),
    /// Nobody answers requests on this topic.
    NoResponder(Box<Details>),
    /// Would block: the queue has no room now.
    Full(Box<Details>),
    /// Out of memory or descriptors.
    Internal(Box<Details>),
    /// The connection was lost and is being made again: go on.
    Lost(Box<Details>),
    /// Over `limits.message_bytes`, here or at the server.
    TooLarge(Box<Details>),
    /// A number that this version does not know: of a newer library.
    Other(i32, Box<Details>),
}

impl Error {
    /// Layer, cause, fix and the rest.
    pub fn details(&self) -> &Details {
        use Error::*;
        match self {
            Failed(d)
            | Usage(d)
            | Settings(d)
            | Name(d)
            | Connect(d)
            | Tls(d)
            | Upgrade(d)
            | Key(d)
            | Protocol(d)
            | Timeout(d)
            | Closed(d)
            | NoResponder(d)
            | Full(d)
            | Internal(d)
            | Lost(d)
            | TooLarge(d)
            | Other(_, d) => d,
        }
    }

    /// The family's number; 1 .. 14 are the exit codes of `pixi-ws-client` as well.
    pub fn code(&self) -> i32 {
        use Error::*;
        match self {
            Failed(_) => sys::PIXI_RC_FAILED,
            Usage(_) => sys::PIXI_RC_USAGE,
            Settings(_) => sys::PIXI_RC_SETTINGS,
            Name(_) => sys::PIXI_RC_NAME,
            Connect(_) => sys::PIXI_RC_CONNECT,
            Tls(_) => sys::PIXI_RC_TLS,
            Upgrade(_) => sys::PIXI_RC_UPGRADE,
            Key(_) => sys::PIXI_RC_KEY,
            Protocol(_) => sys::PIXI_RC_PROTOCOL,
            Timeout(_) => sys::PIXI_RC_TIMEOUT,
            Closed(_) => sys::PIXI_RC_CLOSED,
            NoResponder(_) => sys::PIXI_RC_NO_RESPONDER,
            Full(_) => sys::PIXI_RC_FULL,
            Internal(_) => sys::PIXI_RC_INTERNAL,
            Lost(_) => sys::PIXI_RC_LOST,
            TooLarge(_) => sys::PIXI_RC_TOO_LARGE,
            Other(code, _) => *code,
        }
    }

    /// Its name in the C headers: `"TIMEOUT"`.
    pub fn family(&self) -> &'static str {
        // SAFETY: static text for every number.
        unsafe { CStr::from_ptr(sys::pixi_rc_name(self.code())) }.to_str().unwrap_or("UNKNOWN")
    }

    pub(crate) fn new(rc: i32, d: Details) -> Error {
        let d = Box::new(d);
        match rc {
            sys::PIXI_RC_FAILED => Error::Failed(d),
            sys::PIXI_RC_USAGE => Error::Usage(d),
            sys::PIXI_RC_SETTINGS => Error::Settings(d),
            sys::PIXI_RC_NAME => Error::Name(d),
            sys::PIXI_RC_CONNECT => Error::Connect(d),
            sys::PIXI_RC_TLS => Error::Tls(d),
            sys::PIXI_RC_UPGRADE => Error::Upgrade(d),
            sys::PIXI_RC_KEY => Error::Key(d),
            sys::PIXI_RC_PROTOCOL => Error::Protocol(d),
            sys::PIXI_RC_TIMEOUT => Error::Timeout(d),
            sys::PIXI_RC_CLOSED => Error::Closed(d),
            sys::PIXI_RC_NO_RESPONDER => Error::NoResponder(d),
            sys::PIXI_RC_FULL => Error::Full(d),
            sys::PIXI_RC_INTERNAL => Error::Internal(d),
            sys::PIXI_RC_LOST => Error::Lost(d),
            sys::PIXI_RC_TOO_LARGE => Error::TooLarge(d),
            _ => Error::Other(rc, d),
        }
    }

    /// Text that C cannot hold.
    pub(crate) fn nul(what: &str) -> Error {
        let details = Details {
            layer: "usage".into(),
            cause: format!("{what} has a NUL character in it"),
            fix: "leave it out".into(),
            clause: String::new(),
            name: "USAGE".into(),
            is_final: true,
            close: None,
            retry_after: None,
        };
        Error::new(sys::PIXI_RC_USAGE, details)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let d = self.details();
        write!(f, "{}: {}", d.layer, d.cause)?;
        if !d.clause.is_empty() {
            write!(f, " ({})", d.clause)?;
        }
        if !d.fix.is_empty() {
            write!(f, "\n  fix: {}", d.fix)?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

/// SAFETY: `p` is a text that ends with a NUL, or null.
pub(crate) unsafe fn text(p: *const c_char) -> String {
    if p.is_null() {
        return String::new();
    }
    CStr::from_ptr(p).to_string_lossy().into_owned()
}

/// SAFETY: filled by the library.
pub(crate) unsafe fn close_of(e: &sys::pixi_error) -> Option<Close> {
    (e.close_code != 0).then(|| Close { code: e.close_code, reason: text(e.reason.as_ptr()) })
}

/// SAFETY: filled by the library.
pub(crate) unsafe fn error_of(rc: i32, e: &sys::pixi_error) -> Error {
    let details = Details {
        layer: text(e.layer),
        cause: text(e.cause.as_ptr()),
        fix: text(e.fix.as_ptr()),
        clause: text(e.clause),
        name: text(e.name),
        is_final: e.is_final != 0,
        close: close_of(e),
        retry_after: (e.retry_after_ms != 0).then(|| Duration::from_millis(e.retry_after_ms.into())),
    };
    Error::new(rc, details)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_keeps_its_family() {
        for rc in (1..=14).chain([20, 21, 99]) {
            let e = Error::new(rc, Error::nul("x").details().clone());
            assert_eq!(e.code(), rc);
            assert_eq!(matches!(e, Error::Other(..)), rc == 99);
            assert_eq!(e.family() == "UNKNOWN", rc == 99);
        }
    }

    #[test]
    fn shown_are_layer_cause_clause_and_fix() {
        let mut d = Error::nul("the topic").details().clone();
        assert_eq!(
            Error::Usage(Box::new(d.clone())).to_string(),
            "usage: the topic has a NUL character in it\n  fix: leave it out"
        );
        d.clause = "RFC 6455 §5.5".into();
        d.fix.clear();
        assert_eq!(
            Error::Protocol(Box::new(d)).to_string(),
            "usage: the topic has a NUL character in it (RFC 6455 §5.5)"
        );
    }

    #[test]
    fn an_error_may_cross_threads() {
        fn is<T: Send + Sync + 'static>() {}
        is::<Error>();
    }
}
