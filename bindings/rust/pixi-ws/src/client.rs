//! The link.

use crate::error::{close_of, error_of, text};
use crate::later::Waiting;
use crate::{Close, Error, Message};
use pixi_ws_sys as sys;
use std::any::Any;
use std::collections::HashSet;
use std::ffi::{CStr, CString};
use std::fmt;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::os::raw::{c_char, c_int, c_uint, c_void};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::io::{AsRawFd, RawFd};
use std::panic::{catch_unwind, resume_unwind, AssertUnwindSafe};
use std::path::Path;
use std::ptr::{null, null_mut, NonNull};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

type Slot<F> = Mutex<Option<Box<F>>>;
type OnConnect = dyn FnMut(&Client, Result<bool, Error>) + Send;
type OnMessage = dyn FnMut(&Client, &Message) + Send;
type OnClose = dyn FnMut(&Client, Result<(), Error>) + Send;
type OnUnsubscribed = dyn FnMut(&Client, &str, Error) + Send;

/// What a client owns beside the library's object. Its address is what callbacks are given.
pub(crate) struct Inner {
    raw: *mut sys::pixi_client,
    on_connect: Slot<OnConnect>,
    on_message: Slot<OnMessage>,
    on_close: Slot<OnClose>,
    on_unsubscribed: Slot<OnUnsubscribed>,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    pub(crate) waiting: Mutex<HashSet<usize>>, // addresses of Waiting
}

/// A link to a Pixi server that outlives its connections. Dropping it drops the connection;
/// [`close`](Client::close) first ends it well.
pub struct Client {
    pub(crate) inner: NonNull<Inner>,
}

// SAFETY: every call of the library may come from any thread, except free, which has the client for itself; the rest of Inner
// is behind locks, and the callbacks are Send.
unsafe impl Send for Client {}
unsafe impl Sync for Client {}

/// What a client is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// Not connected yet.
    New,
    /// For the first time.
    Connecting,
    Open,
    /// The connection is lost and being made again.
    Lost,
    Closing,
    /// For good, until [`Client::connect`] is called again.
    Closed,
}

/// How a message is sent; the default waits until the server has it.
///
/// ```
/// use pixi_ws::SendOptions;
/// let kept = SendOptions { retain: true, headers: &[("line", "7")], ..SendOptions::default() };
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct SendOptions<'a> {
    /// The server keeps it as the topic's last message; an empty payload removes that.
    pub retain: bool,
    /// Return when it is queued, not when the server has it: [`Client::flush`].
    pub queue: bool,
    /// As `queue`, and where there is no room fail with [`Error::Full`] at once.
    pub no_wait: bool,
    /// `None`: `timeouts.request_ms` of the settings; `Duration::MAX`: no limit.
    pub timeout: Option<Duration>,
    /// Forgotten by the server after so many seconds; 0: never.
    pub expiry_s: u32,
    /// They travel with it.
    pub headers: &'a [(&'a str, &'a str)],
}

/// The messages of a client as they come; see [`Client::messages`].
pub struct Messages<'a> {
    client: &'a Client,
    has_ended: bool,
}

pub(crate) fn lock<T>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn c_text(what: &str, value: &str) -> Result<CString, Error> {
    CString::new(value).map_err(|_| Error::nul(what))
}

/// Milliseconds, rounded up so that a short wait is not none.
pub(crate) fn ms(timeout: Option<Duration>) -> c_int {
    match timeout {
        None => -1,
        Some(Duration::MAX) => -1,
        Some(t) => c_int::try_from((t.as_nanos() + 999_999) / 1_000_000).unwrap_or(c_int::MAX),
    }
}

/// Call the library, which fills the error; its code and the error.
fn ask(call: impl FnOnce(*mut sys::pixi_error) -> c_int) -> (c_int, MaybeUninit<sys::pixi_error>) {
    let mut e = MaybeUninit::zeroed();
    let rc = call(e.as_mut_ptr());
    (rc, e)
}

pub(crate) fn done(call: impl FnOnce(*mut sys::pixi_error) -> c_int) -> Result<(), Error> {
    let (rc, e) = ask(call);
    // SAFETY: all zero is valid, and the library has filled it.
    if rc == sys::PIXI_RC_OK {
        Ok(())
    } else {
        Err(unsafe { error_of(rc, e.assume_init_ref()) })
    }
}

fn given(call: impl FnOnce(*mut *mut sys::pixi_message, *mut sys::pixi_error) -> c_int) -> Result<Message, Error> {
    let mut m = null_mut();
    done(|e| call(&mut m, e))?;
    Ok(Message(NonNull::new(m).expect("the library gives a message with OK")))
}

fn made(call: impl FnOnce(*mut sys::pixi_error) -> *mut sys::pixi_client) -> Result<Client, Error> {
    let mut raw = null_mut();
    done(|e| {
        raw = call(e);
        // SAFETY: filled on every return.
        if raw.is_null() {
            unsafe { (*e).rc }
        } else {
            sys::PIXI_RC_OK
        }
    })?;
    let inner = Box::new(Inner {
        raw,
        on_connect: Mutex::default(),
        on_message: Mutex::default(),
        on_close: Mutex::default(),
        on_unsubscribed: Mutex::default(),
        panic: Mutex::default(),
        waiting: Mutex::default(),
    });
    Ok(Client { inner: NonNull::from(Box::leak(inner)) })
}

/// # Making one
impl Client {
    /// From a few values; neither a settings file nor `PIXI_WS_*` is read. Without `api_key` none is sent.
    ///
    /// ```
    /// let client = pixi_ws::Client::new("tram-7", "ws://127.0.0.1:8768/api/v1", Some("pk_0123456789abcdef"))?;
    /// client.set("timeouts.connect_ms", "2000")?;
    /// assert_eq!(client.name(), "tram-7");
    /// # Ok::<(), pixi_ws::Error>(())
    /// ```
    pub fn new(name: &str, url: &str, api_key: Option<&str>) -> Result<Client, Error> {
        let (name, url) = (c_text("the name", name)?, c_text("the URL", url)?);
        let key = api_key.map(|k| c_text("the API key", k)).transpose()?;
        let key = key.as_ref().map_or(null(), |k| k.as_ptr());
        // SAFETY: texts that end with a NUL, borrowed for the call.
        made(|e| unsafe { sys::pixi_client_new(name.as_ptr(), url.as_ptr(), key, e) })
    }

    /// From a settings file and the environment. Without a path: `PIXI_WS_SETTINGS`, else
    /// `config/websocket_settings.json` here, else below `/`.
    pub fn from_settings(path: Option<&Path>) -> Result<Client, Error> {
        let path =
            path.map(|p| CString::new(p.as_os_str().as_bytes()).map_err(|_| Error::nul("the path"))).transpose()?;
        let path = path.as_ref().map_or(null(), |p| p.as_ptr());
        // SAFETY: a text that ends with a NUL, or null.
        made(|e| unsafe { sys::pixi_client_new_from_file(path, e) })
    }

    /// From JSON, as a settings file has it.
    ///
    /// ```
    /// let e = pixi_ws::Client::from_json(r#"{"url": 7}"#).unwrap_err();
    /// assert_eq!(e.details().layer, "settings");
    /// ```
    pub fn from_json(json: &str) -> Result<Client, Error> {
        // SAFETY: len bytes, borrowed for the call.
        made(|e| unsafe { sys::pixi_client_new_from_text(json.as_ptr().cast(), json.len(), e) })
    }

    /// One member of the settings, before the first connect: `"timeouts.connect_ms"`, `"5000"`.
    pub fn set(&self, member: &str, value: &str) -> Result<(), Error> {
        let (member, value) = (c_text("the member", member)?, c_text("the value", value)?);
        // SAFETY: as new.
        done(|e| unsafe { sys::pixi_client_set(self.raw(), member.as_ptr(), value.as_ptr(), e) })
    }

    /// As it was made.
    pub fn name(&self) -> String {
        // SAFETY: borrowed until the client is freed.
        unsafe { text(sys::pixi_client_name(self.raw())) }
    }

    pub(crate) fn inner(&self) -> &Inner {
        // SAFETY: valid until dropped, and only ever shared.
        unsafe { self.inner.as_ref() }
    }

    pub(crate) fn raw(&self) -> *mut sys::pixi_client {
        self.inner().raw
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // SAFETY: nobody else has it: free first, since no callback comes after that.
        unsafe {
            sys::pixi_client_free(self.raw());
            let unanswered: Vec<usize> = lock(&self.inner().waiting).iter().copied().collect();
            for waiting in unanswered {
                drop(Waiting::take(self.inner(), waiting as *mut Waiting));
            }
            drop(Box::from_raw(self.inner.as_ptr()));
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("name", &self.name()).field("state", &self.state()).finish_non_exhaustive()
    }
}

/// # The connection
impl Client {
    /// Connect, and wait until that has succeeded or failed.
    pub fn connect(&self, timeout: impl Into<Option<Duration>>) -> Result<(), Error> {
        let timeout = ms(timeout.into());
        // SAFETY: raw is valid; so in all that follow.
        done(|e| unsafe { sys::pixi_client_connect(self.raw(), timeout, e) })
    }

    /// Begin to connect, without waiting; with `retry` go on when the server cannot be reached at first.
    pub fn start(&self, retry: bool) -> Result<(), Error> {
        let flags = if retry { sys::PIXI_START_RETRY } else { 0 };
        done(|e| unsafe { sys::pixi_client_start(self.raw(), flags, e) })
    }

    /// What it is doing.
    pub fn state(&self) -> State {
        match unsafe { sys::pixi_client_state(self.raw()) } {
            sys::PIXI_CLIENT_NEW => State::New,
            sys::PIXI_CLIENT_CONNECTING => State::Connecting,
            sys::PIXI_CLIENT_OPEN => State::Open,
            sys::PIXI_CLIENT_LOST => State::Lost,
            sys::PIXI_CLIENT_CLOSING => State::Closing,
            _ => State::Closed,
        }
    }

    /// Wait until what was queued is answered, then close with 1000, and wait for the peer's close: its code and reason.
    /// Calls of other threads that wait fail with [`Error::Closed`].
    pub fn close(&self) -> Result<Close, Error> {
        self.close_with(1000, "", None)
    }

    /// The same with a code (1000, 1001, 3000 .. 4999), a reason of at most 123 bytes, and a time-out. With zero it has only
    /// begun, and the answer is what was asked for.
    pub fn close_with(&self, code: u16, reason: &str, timeout: impl Into<Option<Duration>>) -> Result<Close, Error> {
        let (words, timeout) = (c_text("the reason", reason)?, ms(timeout.into()));
        let (rc, e) = ask(|e| unsafe { sys::pixi_client_close(self.raw(), code, words.as_ptr(), timeout, e) });
        // SAFETY: filled by the library.
        let e = unsafe { e.assume_init_ref() };
        match rc {
            sys::PIXI_RC_OK => Ok(unsafe { close_of(e) }.unwrap_or(Close { code, reason: reason.into() })),
            _ => Err(unsafe { error_of(rc, e) }),
        }
    }
}

/// # Sending
impl Client {
    /// Publish to a topic, and wait until the server has it.
    pub fn send_message(&self, topic: &str, payload: impl AsRef<[u8]>) -> Result<(), Error> {
        self.send_with(topic, payload, &SendOptions::default())
    }

    /// The same, as the options say.
    pub fn send_with(&self, topic: &str, payload: impl AsRef<[u8]>, o: &SendOptions<'_>) -> Result<(), Error> {
        self.send_raw(topic, payload.as_ref(), o, None, null_mut())
    }

    pub(crate) fn send_raw(
        &self,
        topic: &str,
        payload: &[u8],
        o: &SendOptions<'_>,
        on_sent: Option<sys::pixi_on_sent>,
        ctx: *mut c_void,
    ) -> Result<(), Error> {
        let topic = c_text("the topic", topic)?;
        let texts: Vec<(CString, CString)> = o
            .headers
            .iter()
            .map(|(n, v)| Ok((c_text("a header", n)?, c_text("a header", v)?)))
            .collect::<Result<_, Error>>()?;
        let headers: Vec<sys::pixi_header> = texts
            .iter()
            .map(|(n, v)| sys::pixi_header {
                name: n.as_ptr(),
                name_len: n.as_bytes().len(),
                value: v.as_ptr(),
                value_len: v.as_bytes().len(),
            })
            .collect();
        let options = sys::pixi_send_options {
            flags: (o.retain as c_uint * sys::PIXI_SEND_RETAIN)
                | (o.queue as c_uint * sys::PIXI_SEND_QUEUE)
                | (o.no_wait as c_uint * sys::PIXI_SEND_NOWAIT),
            timeout_ms: o.timeout.map_or(0, |t| if t.is_zero() { 1 } else { ms(Some(t)) }),
            expiry_s: o.expiry_s,
            header_count: headers.len(),
            headers: headers.as_ptr(),
            on_sent,
            ctx,
        };
        // SAFETY: everything is borrowed for the call.
        done(|e| unsafe {
            let p = payload.as_ptr().cast();
            sys::pixi_client_send_message(self.raw(), topic.as_ptr(), p, payload.len(), &options, e)
        })
    }

    /// Wait until all that was queued by any thread is answered; the first error of it, if there was one.
    pub fn flush(&self, timeout: impl Into<Option<Duration>>) -> Result<(), Error> {
        let timeout = ms(timeout.into());
        done(|e| unsafe { sys::pixi_client_flush(self.raw(), timeout, e) })
    }

    /// Ask, and wait for the one answer.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), pixi_ws::Error> {
    /// # let client = pixi_ws::Client::from_settings(None)?;
    /// let reply = client.request("request/route", r#"{"from": "A", "to": "B"}"#, None)?;
    /// println!("{}", reply.text().unwrap_or("(binary)"));
    /// # Ok(()) }
    /// ```
    pub fn request(
        &self,
        topic: &str,
        payload: impl AsRef<[u8]>,
        timeout: impl Into<Option<Duration>>,
    ) -> Result<Message, Error> {
        let (topic, payload, timeout) = (c_text("the topic", topic)?, payload.as_ref(), ms(timeout.into()));
        given(|out, e| unsafe {
            let p = payload.as_ptr().cast();
            sys::pixi_client_request(self.raw(), topic.as_ptr(), p, payload.len(), timeout, out, e)
        })
    }

    /// Answer a request, once, on the connection that it came by. It is queued, never waited for.
    pub fn reply(&self, request: &Message, payload: impl AsRef<[u8]>) -> Result<(), Error> {
        let payload = payload.as_ref();
        done(|e| unsafe {
            let p = payload.as_ptr().cast();
            sys::pixi_client_reply(self.raw(), request.0.as_ptr(), p, payload.len(), e)
        })
    }

    /// Answer that it cannot be done, and why, for people.
    pub fn reply_error(&self, request: &Message, why: &str) -> Result<(), Error> {
        let why = c_text("the text", why)?;
        done(|e| unsafe { sys::pixi_client_reply_error(self.raw(), request.0.as_ptr(), why.as_ptr(), e) })
    }
}

/// # Receiving
impl Client {
    /// From now on and on every connection. Before connecting it is noted, and asked for then.
    pub fn subscribe(&self, filter: &str) -> Result<(), Error> {
        self.subscribe_with(filter, 0)
    }

    /// The same without what the topics hold already.
    pub fn subscribe_to_new(&self, filter: &str) -> Result<(), Error> {
        self.subscribe_with(filter, sys::PIXI_SUBSCRIBE_NO_RETAINED)
    }

    fn subscribe_with(&self, filter: &str, flags: c_uint) -> Result<(), Error> {
        let filter = c_text("the filter", filter)?;
        done(|e| unsafe { sys::pixi_client_subscribe(self.raw(), filter.as_ptr(), flags, e) })
    }

    /// Take no more messages for this filter; those that wait already still come.
    pub fn unsubscribe(&self, filter: &str) -> Result<(), Error> {
        let filter = c_text("the filter", filter)?;
        done(|e| unsafe { sys::pixi_client_unsubscribe(self.raw(), filter.as_ptr(), e) })
    }

    /// The next message.
    ///
    /// * [`Error::Timeout`]: none came in time.
    /// * [`Error::Lost`]: once for each loss; the connection is being made again: call again.
    /// * [`Error::Closed`]: the end, and then it is this answer for ever.
    /// * [`Error::Key`] and others: the end as well; where [`Client::state`] still is [`State::Open`], only a subscription
    ///   was refused or ended: call again.
    pub fn recv(&self, timeout: impl Into<Option<Duration>>) -> Result<Message, Error> {
        let timeout = ms(timeout.into());
        given(|out, e| unsafe { sys::pixi_client_recv(self.raw(), timeout, out, e) })
    }

    /// Every message as it comes, over losses of the connection. Ends after a close with 1000; any other end is the last
    /// item. A subscription that the server refuses or ends is an error between messages.
    pub fn messages(&self) -> Messages<'_> {
        Messages { client: self, has_ended: false }
    }
}

impl Iterator for Messages<'_> {
    type Item = Result<Message, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.has_ended {
            match self.client.recv(None) {
                Err(Error::Lost(_)) => continue,
                Err(e) => {
                    self.has_ended = self.client.state() != State::Open;
                    let is_well = |d: &crate::Details| d.close.as_ref().map_or(true, |c| c.code == 1000);
                    if !matches!(&e, Error::Closed(d) if is_well(d)) {
                        return Some(Err(e));
                    }
                    self.has_ended = true;
                }
                message => return Some(message),
            }
        }
        None
    }
}

impl<'a> IntoIterator for &'a Client {
    type Item = Result<Message, Error>;
    type IntoIter = Messages<'a>;

    fn into_iter(self) -> Messages<'a> {
        self.messages()
    }
}

/// # In your own loop
///
/// Callbacks come from [`process`](Client::process) and from nowhere else. Set them before the client is started. What there
/// is no callback for waits for [`recv`](Client::recv). A panic in a callback goes on out of `process`.
///
/// ```
/// # use pixi_ws::{Client, Error};
/// let mut client = Client::new("tram-7", "ws://127.0.0.1:1/", None)?;
/// client.on_connect(|client, result| match result {
///     Ok(_again) => client.subscribe("event/#").unwrap(),
///     Err(e) => eprintln!("{e}"),
/// });
/// client.on_message(|_, message| println!("{}", message.topic()));
/// client.start(false)?;
/// while client.process(None).is_ok() {} // nobody listens at port 1: it ends at once
/// # Ok::<(), Error>(())
/// ```
impl Client {
    /// Connected, the first time (`Ok(false)`) or again (`Ok(true)`); or the first attempt failed.
    pub fn on_connect(&mut self, f: impl FnMut(&Client, Result<bool, Error>) + Send + 'static) {
        *lock(&self.inner().on_connect) = Some(Box::new(f));
        self.set_callbacks();
    }

    /// A message came.
    pub fn on_message(&mut self, f: impl FnMut(&Client, &Message) + Send + 'static) {
        *lock(&self.inner().on_message) = Some(Box::new(f));
        self.set_callbacks();
    }

    /// The connection has ended: `Ok` as `close` asked; [`Error::Lost`]: it is being made again; else for good.
    pub fn on_close(&mut self, f: impl FnMut(&Client, Result<(), Error>) + Send + 'static) {
        *lock(&self.inner().on_close) = Some(Box::new(f));
        self.set_callbacks();
    }

    /// The server refused or ended the subscription with this filter.
    pub fn on_unsubscribed(&mut self, f: impl FnMut(&Client, &str, Error) + Send + 'static) {
        *lock(&self.inner().on_unsubscribed) = Some(Box::new(f));
        self.set_callbacks();
    }

    fn set_callbacks(&mut self) {
        let inner = self.inner();
        let callbacks = sys::pixi_callbacks {
            on_connect: lock(&inner.on_connect).as_ref().map(|_| connect_came as _),
            on_message: lock(&inner.on_message).as_ref().map(|_| message_came as _),
            on_close: lock(&inner.on_close).as_ref().map(|_| close_came as _),
            on_unsubscribed: lock(&inner.on_unsubscribed).as_ref().map(|_| unsubscribed_came as _),
        };
        // SAFETY: copied; the context is valid until the client is freed.
        unsafe { sys::pixi_client_set_callbacks(self.raw(), &callbacks, self.inner.as_ptr().cast()) }
    }

    /// When [`process`](Client::process) is due though nothing comes; `None`: never.
    pub fn next_deadline(&self) -> Option<Duration> {
        u64::try_from(unsafe { sys::pixi_client_next_deadline(self.raw()) }).ok().map(Duration::from_millis)
    }

    /// Move what can be moved and call the callbacks that are due; wait so long for something to happen. From one thread at a
    /// time. An error is the end, as the last `on_connect` or `on_close` said.
    pub fn process(&self, timeout: impl Into<Option<Duration>>) -> Result<(), Error> {
        let timeout = ms(timeout.into());
        let result = done(|e| unsafe { sys::pixi_client_process(self.raw(), timeout, e) });
        let panic = lock(&self.inner().panic).take();
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
        result
    }
}

impl AsRawFd for Client {
    /// To be waited for with `POLLIN`; the same over all connections. -1: no descriptors left.
    fn as_raw_fd(&self) -> RawFd {
        unsafe { sys::pixi_client_fd(self.raw()) }
    }
}

/// Run a callback; a panic must not reach C, so it is kept for process.
pub(crate) fn guarded(client: &Client, call: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(call)) {
        lock(&client.inner().panic).get_or_insert(panic);
    }
}

/// Run a callback of the client at ctx.
///
/// SAFETY: ctx is the Inner that set_callbacks gave.
unsafe fn with<F: ?Sized>(ctx: *mut c_void, slot: fn(&Inner) -> &Slot<F>, call: impl FnOnce(&mut F, &Client)) {
    let client = ManuallyDrop::new(Client { inner: NonNull::new_unchecked(ctx.cast()) });
    guarded(&client, || {
        if let Some(f) = lock(slot(client.inner())).as_mut() {
            call(f, &client);
        }
    });
}

unsafe extern "C" fn connect_came(
    _: *mut sys::pixi_client,
    ctx: *mut c_void,
    flags: c_uint,
    rc: c_int,
    e: *const sys::pixi_error,
) {
    let result = if rc == 0 { Ok(flags & sys::PIXI_CONNECT_AGAIN != 0) } else { Err(error_of(rc, &*e)) };
    with(ctx, |inner| &inner.on_connect, |f, client| f(client, result));
}

unsafe extern "C" fn message_came(_: *mut sys::pixi_client, ctx: *mut c_void, m: *const sys::pixi_message) {
    let message = ManuallyDrop::new(Message(NonNull::new_unchecked(m as *mut _)));
    with(ctx, |inner| &inner.on_message, |f, client| f(client, &message));
}

unsafe extern "C" fn close_came(_: *mut sys::pixi_client, ctx: *mut c_void, rc: c_int, e: *const sys::pixi_error) {
    let result = if rc == 0 { Ok(()) } else { Err(error_of(rc, &*e)) };
    with(ctx, |inner| &inner.on_close, |f, client| f(client, result));
}

unsafe extern "C" fn unsubscribed_came(
    _: *mut sys::pixi_client,
    ctx: *mut c_void,
    filter: *const c_char,
    rc: c_int,
    e: *const sys::pixi_error,
) {
    let (filter, why) = (CStr::from_ptr(filter).to_string_lossy(), error_of(rc, &*e));
    with(ctx, |inner| &inner.on_unsubscribed, |f, client| f(client, &filter, why));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_rounded_up() {
        assert_eq!(ms(None), -1);
        assert_eq!(ms(Some(Duration::MAX)), -1);
        assert_eq!(ms(Some(Duration::ZERO)), 0);
        assert_eq!(ms(Some(Duration::from_nanos(1))), 1);
        assert_eq!(ms(Some(Duration::from_micros(1001))), 2);
        assert_eq!(ms(Some(Duration::from_secs(u64::MAX))), c_int::MAX);
    }

    #[test]
    fn a_client_may_be_sent_and_shared() {
        fn is<T: Send + Sync + 'static>() {}
        is::<Client>();
    }

    #[test]
    fn text_with_a_nul_is_refused() {
        let client = Client::new("x", "ws://127.0.0.1:1/", None).unwrap();
        assert!(matches!(client.send_message("a\0b", "1"), Err(Error::Usage(_))));
        assert!(matches!(client.subscribe("\0"), Err(Error::Usage(_))));
        assert!(matches!(Client::new("x\0", "ws://127.0.0.1:1/", None), Err(Error::Usage(_))));
    }

    #[test]
    fn a_panic_in_a_callback_comes_out_of_process() {
        let mut client = Client::new("x", "ws://127.0.0.1:1/", None).unwrap();
        client.on_connect(|_, result| panic!("{}", result.unwrap_err().family()));
        client.start(false).unwrap();
        let run = AssertUnwindSafe(|| while client.process(None).is_ok() {});
        let panic = catch_unwind(run).unwrap_err();
        assert_eq!(panic.downcast_ref::<String>().unwrap(), "CONNECT");
    }

    #[test]
    fn process_from_inside_a_callback_is_refused() {
        let (tell, told) = std::sync::mpsc::channel();
        let mut client = Client::new("x", "ws://127.0.0.1:1/", None).unwrap();
        client.on_connect(move |client, _| tell.send(client.process(None).unwrap_err().family()).unwrap());
        client.start(false).unwrap();
        while client.process(None).is_ok() {}
        assert_eq!(told.try_recv(), Ok("USAGE"));
    }
}
