//! Answers that come later, from `process`, to a closure that was given with the call.

use crate::client::{c_text, done, guarded, lock, ms, Inner};
use crate::error::error_of;
use crate::{Client, Error, Message, SendOptions};
use pixi_ws_sys as sys;
use std::mem::ManuallyDrop;
use std::os::raw::c_void;
use std::ptr::NonNull;
use std::time::Duration;

type Sent = dyn FnOnce(&Client, Result<(), Error>) + Send;
type Replied = dyn FnOnce(&Client, Result<&Message, Error>) + Send;

pub(crate) enum Then {
    Sent(Box<Sent>),
    Replied(Box<Replied>),
}

/// One call that is not answered yet. Its address is what the library gives back with the answer; the client keeps it, too,
/// for answers that never come because it is dropped before.
pub(crate) struct Waiting {
    inner: NonNull<Inner>,
    then: Then,
}

impl Waiting {
    /// Begin a call that is answered later. What cannot begin is never answered.
    fn begin(client: &Client, then: Then, call: impl FnOnce(*mut c_void) -> Result<(), Error>) -> Result<(), Error> {
        let waiting = Box::into_raw(Box::new(Waiting { inner: client.inner, then }));
        lock(&client.inner().waiting).insert(waiting as usize);
        let begun = call(waiting.cast());
        if begun.is_err() {
            // SAFETY: the library has not kept it, so it was not taken meanwhile.
            drop(unsafe { Waiting::take(client.inner(), waiting) });
        }
        begun
    }

    /// SAFETY: from begin, and not taken before.
    pub(crate) unsafe fn take(inner: &Inner, waiting: *mut Waiting) -> Box<Waiting> {
        lock(&inner.waiting).remove(&(waiting as usize));
        Box::from_raw(waiting)
    }

    /// SAFETY: ctx is what begin gave the library, which gives it back once.
    unsafe fn came(ctx: *mut c_void) -> (ManuallyDrop<Client>, Then) {
        let inner = (*ctx.cast::<Waiting>()).inner;
        let then = Waiting::take(inner.as_ref(), ctx.cast()).then;
        (ManuallyDrop::new(Client { inner }), then)
    }
}

unsafe extern "C" fn sent_came(_: *mut sys::pixi_client, ctx: *mut c_void, sent: *const sys::pixi_error) {
    if let (client, Then::Sent(f)) = Waiting::came(ctx) {
        let result = if (*sent).rc == sys::PIXI_RC_OK { Ok(()) } else { Err(error_of((*sent).rc, &*sent)) };
        guarded(&client, || f(&client, result));
    }
}

unsafe extern "C" fn reply_came(
    _: *mut sys::pixi_client,
    ctx: *mut c_void,
    reply: *const sys::pixi_message,
    e: *const sys::pixi_error,
) {
    if let (client, Then::Replied(f)) = Waiting::came(ctx) {
        let reply = NonNull::new(reply as *mut _).map(|m| ManuallyDrop::new(Message(m)));
        let result = reply.as_deref().ok_or_else(|| error_of((*e).rc, &*e));
        guarded(&client, || f(&client, result));
    }
}

/// # Answers that come later
///
/// ```
/// # use pixi_ws::{Client, Error, SendOptions};
/// # let client = Client::new("tram-7", "ws://127.0.0.1:1/", None)?;
/// client.start(false)?;
/// client.send_then("event/tram/7", "{}", &SendOptions::default(), |_, sent| eprintln!("{sent:?}"))?;
/// client.request_then("request/route", "{}", None, |_, reply| match reply {
///     Ok(message) => println!("{}", message.text().unwrap_or("(binary)")),
///     Err(e) => eprintln!("{e}"),
/// })?;
/// while client.process(None).is_ok() {} // nobody listens at port 1: both hear of it
/// # Ok::<(), Error>(())
/// ```
impl Client {
    /// Queue a message; `on_sent` is called once, from [`process`](Client::process), with what
    /// [`send_message`](Client::send_message) would have answered. It never comes where this fails, or the client is dropped
    /// before.
    pub fn send_then(
        &self,
        topic: &str,
        payload: impl AsRef<[u8]>,
        o: &SendOptions<'_>,
        on_sent: impl FnOnce(&Client, Result<(), Error>) + Send + 'static,
    ) -> Result<(), Error> {
        let queued = SendOptions { queue: !o.no_wait, ..*o };
        Waiting::begin(self, Then::Sent(Box::new(on_sent)), |ctx| {
            self.send_raw(topic, payload.as_ref(), &queued, Some(sent_came), ctx)
        })
    }

    /// Ask without waiting; `on_reply` is called once, from [`process`](Client::process), with what
    /// [`request`](Client::request) would have answered. It never comes where this fails, or the client is dropped before.
    pub fn request_then(
        &self,
        topic: &str,
        payload: impl AsRef<[u8]>,
        timeout: impl Into<Option<Duration>>,
        on_reply: impl FnOnce(&Client, Result<&Message, Error>) + Send + 'static,
    ) -> Result<(), Error> {
        let (topic, payload, timeout) = (c_text("the topic", topic)?, payload.as_ref(), ms(timeout.into()));
        Waiting::begin(self, Then::Replied(Box::new(on_reply)), |ctx| {
            let (topic, p) = (topic.as_ptr(), payload.as_ptr().cast());
            // SAFETY: everything but ctx is borrowed for the call.
            done(|e| unsafe {
                let (raw, len) = (self.raw(), payload.len());
                sys::pixi_client_request_start(raw, topic, p, len, timeout, Some(reply_came), ctx, e)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    fn nobody() -> Client {
        Client::new("x", "ws://127.0.0.1:1/", None).unwrap()
    }

    #[test]
    fn each_is_told_once_how_it_ended() {
        let client = nobody();
        let (tell, told) = channel();
        client.start(false).unwrap();
        for i in 0..3 {
            let tell = tell.clone();
            let then = move |_: &Client, sent: Result<(), Error>| tell.send((i, sent.unwrap_err().family())).unwrap();
            client.send_then("a", "1", &SendOptions::default(), then).unwrap();
        }
        let ask =
            move |_: &Client, reply: Result<&Message, Error>| tell.send((9, reply.unwrap_err().family())).unwrap();
        client.request_then("request/a", "1", None, ask).unwrap();
        while client.process(None).is_ok() {}
        let mut all: Vec<_> = told.iter().collect();
        all.sort_unstable();
        assert_eq!(all.iter().map(|(i, _)| *i).collect::<Vec<_>>(), [0, 1, 2, 9], "{all:?}");
        assert!(lock(&client.inner().waiting).is_empty());
    }

    #[test]
    fn what_cannot_begin_and_what_is_dropped_are_released() {
        let client = nobody();
        let (tell, told) = channel::<()>();
        let (first, second) = (tell.clone(), tell);
        assert!(matches!(
            client.send_then("a/#", "1", &SendOptions::default(), move |_, _| first.send(()).unwrap()),
            Err(Error::Usage(_)) | Err(Error::Closed(_))
        ));
        client.start(true).unwrap();
        client.send_then("a", "1", &SendOptions::default(), move |_, _| second.send(()).unwrap()).unwrap();
        drop(client);
        assert!(told.recv().is_err(), "nobody was called, and both closures are gone");
    }

    #[test]
    fn a_panic_in_an_answer_comes_out_of_process() {
        let client = nobody();
        client.start(false).unwrap();
        client.send_then("a", "1", &SendOptions::default(), |_, sent| panic!("{:?}", sent.is_err())).unwrap();
        let run = std::panic::AssertUnwindSafe(|| while client.process(None).is_ok() {});
        let panic = std::panic::catch_unwind(run).unwrap_err();
        assert_eq!(panic.downcast_ref::<String>().unwrap(), "true");
    }
}
