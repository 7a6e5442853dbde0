//! Where the code that `#[rpc]` generates finds its parts.
//!
//! In a build with debug assertions the macro calls `jsonrpsee::core::__reexports::panic_fail_register`, which jsonrpsee
//! only has when it was built with debug assertions, too. This workspace builds its dependencies without them. So the
//! crate calls itself `jsonrpsee`, offers the same paths, and adds the missing function. Once dependencies and this
//! crate agree about debug assertions, this file and the two `extern crate` lines in `lib.rs` can go.

pub(crate) use upstream::{
    IntoResponse, IntoSubscriptionCloseResponse, PendingSubscriptionSink, ResponsePayload, RpcModule,
    SubscriptionCloseResponse,
};

pub(crate) mod core {
    pub(crate) use upstream::core::*;

    pub(crate) mod __reexports {
        pub(crate) use upstream::core::__reexports::*;

        /// Ends a debug build in which two methods have one name.
        ///
        /// # Panics
        /// Always.
        #[cold]
        #[cfg(debug_assertions)]
        pub(crate) fn panic_fail_register() -> ! {
            panic!("two methods of one namespace have the same name")
        }
    }
}
