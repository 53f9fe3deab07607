//! libpixiws as `include/pixiws/*.h` declare it; what each function does is said there. The crate `pixi-ws` makes it safe.
#![allow(non_camel_case_types)]

use std::os::raw::{c_char, c_int, c_uint, c_void};

// error.h
pub const PIXI_RC_OK: c_int = 0;
pub const PIXI_RC_FAILED: c_int = 1;
pub const PIXI_RC_USAGE: c_int = 2;
pub const PIXI_RC_SETTINGS: c_int = 3;
pub const PIXI_RC_NAME: c_int = 4;
pub const PIXI_RC_CONNECT: c_int = 5;
pub const PIXI_RC_TLS: c_int = 6;
pub const PIXI_RC_UPGRADE: c_int = 7;
pub const PIXI_RC_KEY: c_int = 8;
pub const PIXI_RC_PROTOCOL: c_int = 9;
pub const PIXI_RC_TIMEOUT: c_int = 10;
pub const PIXI_RC_CLOSED: c_int = 11;
pub const PIXI_RC_NO_RESPONDER: c_int = 12;
pub const PIXI_RC_FULL: c_int = 13;
pub const PIXI_RC_INTERNAL: c_int = 14;
pub const PIXI_RC_LOST: c_int = 20;
pub const PIXI_RC_TOO_LARGE: c_int = 21;

#[repr(C)]
pub struct pixi_error {
    pub rc: c_int,
    pub code: c_int,
    pub name: *const c_char,
    pub layer: *const c_char,
    pub clause: *const c_char,
    pub is_final: c_int,
    pub close_code: u16,
    pub retry_after_ms: u32,
    pub reason: [c_char; 124],
    pub cause: [c_char; 2048],
    pub fix: [c_char; 640],
    pub reserved: [u64; 8],
}

// message.h
pub const PIXI_MESSAGE_RETAINED: c_uint = 1;
pub const PIXI_MESSAGE_JSON: c_uint = 2;
pub const PIXI_MESSAGE_STORED: c_uint = 4;
pub const PIXI_MESSAGE_REQUEST: c_uint = 8;
pub const PIXI_MESSAGE_AFTER_GAP: c_uint = 16;

#[repr(C)]
pub struct pixi_header {
    pub name: *const c_char,
    pub name_len: usize,
    pub value: *const c_char,
    pub value_len: usize,
}

#[repr(C)]
pub struct pixi_message {
    pub flags: c_uint,
    pub topic: *const c_char,
    pub filter: *const c_char,
    pub payload: *const u8,
    pub payload_len: usize,
    pub headers: *const pixi_header,
    pub header_count: usize,
    pub time_ms: u64,
    pub epoch: u64,
    pub offset: u64,
    pub request: u64,
    pub connection: u64,
}

// client.h
#[repr(C)]
pub struct pixi_client {
    _opaque: [u8; 0],
}

pub const PIXI_CLIENT_NEW: c_int = 0;
pub const PIXI_CLIENT_CONNECTING: c_int = 1;
pub const PIXI_CLIENT_OPEN: c_int = 2;
pub const PIXI_CLIENT_LOST: c_int = 3;
pub const PIXI_CLIENT_CLOSING: c_int = 4;
pub const PIXI_CLIENT_CLOSED: c_int = 5;

pub const PIXI_START_RETRY: c_uint = 1;
pub const PIXI_SEND_RETAIN: c_uint = 1;
pub const PIXI_SEND_QUEUE: c_uint = 2;
pub const PIXI_SEND_NOWAIT: c_uint = 4;
pub const PIXI_SUBSCRIBE_NO_RETAINED: c_uint = 1;
pub const PIXI_SUBSCRIBE_NOWAIT: c_uint = 2;

pub type pixi_on_sent = unsafe extern "C" fn(c: *mut pixi_client, ctx: *mut c_void, sent: *const pixi_error);

#[repr(C)]
pub struct pixi_send_options {
    pub flags: c_uint,
    pub timeout_ms: c_int,
    pub expiry_s: u32,
    pub header_count: usize,
    pub headers: *const pixi_header,
    pub on_sent: Option<pixi_on_sent>,
    pub ctx: *mut c_void,
}

// loop.h
pub const PIXI_CONNECT_AGAIN: c_uint = 1;

#[repr(C)]
pub struct pixi_callbacks {
    pub on_connect: Option<
        unsafe extern "C" fn(c: *mut pixi_client, ctx: *mut c_void, flags: c_uint, rc: c_int, e: *const pixi_error),
    >,
    pub on_message: Option<unsafe extern "C" fn(c: *mut pixi_client, ctx: *mut c_void, m: *const pixi_message)>,
    pub on_close: Option<unsafe extern "C" fn(c: *mut pixi_client, ctx: *mut c_void, rc: c_int, e: *const pixi_error)>,
    pub on_unsubscribed: Option<
        unsafe extern "C" fn(
            c: *mut pixi_client,
            ctx: *mut c_void,
            filter: *const c_char,
            rc: c_int,
            e: *const pixi_error,
        ),
    >,
}

pub type pixi_on_reply =
    unsafe extern "C" fn(c: *mut pixi_client, ctx: *mut c_void, reply: *const pixi_message, e: *const pixi_error);

extern "C" {
    pub fn pixi_version() -> *const c_char;
    pub fn pixi_version_number() -> c_int;
    pub fn pixi_rc_name(rc: c_int) -> *const c_char;
    pub fn pixi_rc_text(rc: c_int) -> *const c_char;
    pub fn pixi_message_free(m: *mut pixi_message);

    pub fn pixi_client_new(
        name: *const c_char,
        url: *const c_char,
        api_key: *const c_char,
        e: *mut pixi_error,
    ) -> *mut pixi_client;
    pub fn pixi_client_new_from_file(path: *const c_char, e: *mut pixi_error) -> *mut pixi_client;
    pub fn pixi_client_new_from_text(json: *const c_char, len: usize, e: *mut pixi_error) -> *mut pixi_client;
    pub fn pixi_client_set(
        c: *mut pixi_client,
        member: *const c_char,
        value: *const c_char,
        e: *mut pixi_error,
    ) -> c_int;
    pub fn pixi_client_free(c: *mut pixi_client);
    pub fn pixi_client_name(c: *const pixi_client) -> *const c_char;
    pub fn pixi_client_state(c: *mut pixi_client) -> c_int;
    pub fn pixi_client_connect(c: *mut pixi_client, timeout_ms: c_int, e: *mut pixi_error) -> c_int;
    pub fn pixi_client_start(c: *mut pixi_client, flags: c_uint, e: *mut pixi_error) -> c_int;
    pub fn pixi_client_close(
        c: *mut pixi_client,
        code: u16,
        reason: *const c_char,
        timeout_ms: c_int,
        e: *mut pixi_error,
    ) -> c_int;
    pub fn pixi_client_send_message(
        c: *mut pixi_client,
        topic: *const c_char,
        payload: *const c_void,
        payload_len: usize,
        o: *const pixi_send_options,
        e: *mut pixi_error,
    ) -> c_int;
    pub fn pixi_client_flush(c: *mut pixi_client, timeout_ms: c_int, e: *mut pixi_error) -> c_int;
    pub fn pixi_client_request(
        c: *mut pixi_client,
        topic: *const c_char,
        payload: *const c_void,
        payload_len: usize,
        timeout_ms: c_int,
        reply: *mut *mut pixi_message,
        e: *mut pixi_error,
    ) -> c_int;
    pub fn pixi_client_reply(
        c: *mut pixi_client,
        request: *const pixi_message,
        payload: *const c_void,
        payload_len: usize,
        e: *mut pixi_error,
    ) -> c_int;
    pub fn pixi_client_reply_error(
        c: *mut pixi_client,
        request: *const pixi_message,
        text: *const c_char,
        e: *mut pixi_error,
    ) -> c_int;
    pub fn pixi_client_subscribe(
        c: *mut pixi_client,
        filter: *const c_char,
        flags: c_uint,
        e: *mut pixi_error,
    ) -> c_int;
    pub fn pixi_client_unsubscribe(c: *mut pixi_client, filter: *const c_char, e: *mut pixi_error) -> c_int;
    pub fn pixi_client_recv(
        c: *mut pixi_client,
        timeout_ms: c_int,
        out: *mut *mut pixi_message,
        e: *mut pixi_error,
    ) -> c_int;

    pub fn pixi_client_set_callbacks(c: *mut pixi_client, callbacks: *const pixi_callbacks, ctx: *mut c_void);
    pub fn pixi_client_fd(c: *mut pixi_client) -> c_int;
    pub fn pixi_client_next_deadline(c: *mut pixi_client) -> c_int;
    pub fn pixi_client_process(c: *mut pixi_client, timeout_ms: c_int, e: *mut pixi_error) -> c_int;
    pub fn pixi_client_request_start(
        c: *mut pixi_client,
        topic: *const c_char,
        payload: *const c_void,
        payload_len: usize,
        timeout_ms: c_int,
        on_reply: Option<pixi_on_reply>,
        ctx: *mut c_void,
        e: *mut pixi_error,
    ) -> c_int;
}
