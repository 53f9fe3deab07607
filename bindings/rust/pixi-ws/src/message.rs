//! A message as it came.

use pixi_ws_sys as sys;
use std::ffi::CStr;
use std::fmt;
use std::ptr::NonNull;
use std::slice;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A message as it came, or the reply to a request.
pub struct Message(pub(crate) NonNull<sys::pixi_message>);

// SAFETY: nothing changes it after it was made, and the library frees it from any thread.
unsafe impl Send for Message {}
unsafe impl Sync for Message {}

/// Where a stored message stands: the offset rises within an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Position {
    pub epoch: u64,
    pub offset: u64,
}

impl Message {
    fn raw(&self) -> &sys::pixi_message {
        // SAFETY: valid until dropped.
        unsafe { self.0.as_ref() }
    }

    fn is(&self, flag: u32) -> bool {
        self.raw().flags & flag != 0
    }

    /// Where it was published; empty in a reply.
    pub fn topic(&self) -> &str {
        // SAFETY: UTF-8 that ends with a NUL, as message.h says.
        unsafe { CStr::from_ptr(self.raw().topic) }.to_str().unwrap_or("")
    }

    /// The subscription that it came for; empty in a reply.
    pub fn filter(&self) -> &str {
        // SAFETY: as topic.
        unsafe { CStr::from_ptr(self.raw().filter) }.to_str().unwrap_or("")
    }

    /// Its bytes, any.
    pub fn payload(&self) -> &[u8] {
        // SAFETY: never null, payload_len bytes.
        unsafe { slice::from_raw_parts(self.raw().payload, self.raw().payload_len) }
    }

    /// The payload, if it is text.
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(self.payload()).ok()
    }

    /// Names and values, in the sender's order; a name may come twice.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        let (first, count) = (self.raw().headers, self.raw().header_count);
        // SAFETY: header_count of them, each with its lengths.
        let all = if count == 0 { &[] } else { unsafe { slice::from_raw_parts(first, count) } };
        let text = |p: *const std::os::raw::c_char, len| unsafe {
            std::str::from_utf8(slice::from_raw_parts(p.cast(), len)).unwrap_or("")
        };
        all.iter().map(move |h| (text(h.name, h.name_len), text(h.value, h.value_len)))
    }

    /// When the server took it; `None` in a reply.
    pub fn time(&self) -> Option<SystemTime> {
        (self.raw().time_ms != 0).then(|| UNIX_EPOCH + Duration::from_millis(self.raw().time_ms))
    }

    /// Its position, if it is stored.
    pub fn position(&self) -> Option<Position> {
        let m = self.raw();
        self.is(sys::PIXI_MESSAGE_STORED).then_some(Position { epoch: m.epoch, offset: m.offset })
    }

    /// It was there before: the topic's last message.
    pub fn is_retained(&self) -> bool {
        self.is(sys::PIXI_MESSAGE_RETAINED)
    }

    /// The payload is one JSON value, exactly as its sender wrote it.
    pub fn is_json(&self) -> bool {
        self.is(sys::PIXI_MESSAGE_JSON)
    }

    /// Somebody waits for an answer: [`Client::reply`](crate::Client::reply).
    pub fn is_request(&self) -> bool {
        self.is(sys::PIXI_MESSAGE_REQUEST)
    }

    /// Messages before this one may be missing: the server's history did not reach back.
    pub fn is_after_gap(&self) -> bool {
        self.is(sys::PIXI_MESSAGE_AFTER_GAP)
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        // SAFETY: ours, once.
        unsafe { sys::pixi_message_free(self.0.as_ptr()) }
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let payload = String::from_utf8_lossy(self.payload());
        f.debug_struct("Message").field("topic", &self.topic()).field("payload", &payload).finish_non_exhaustive()
    }
}
