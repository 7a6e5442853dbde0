//! `rpc.discover`: this interface described by itself, in OpenRPC 1.2.6 (spec.open-rpc.org).
//!
//! Each namespace says what its methods take and give in its `describe`. The names are compared with the registered
//! methods by a test, so that the two cannot drift apart.

use crate::error::{CODES, ErrorCode, STANDARD};
use crate::{account, audit, chain, dev, market, round, stake, tx};
use schemars::generate::{SchemaGenerator, SchemaSettings};
use schemars::{JsonSchema, Schema};
use serde_json::{Value, json};

/// The name under which the description is served.
pub const DISCOVER: &str = "rpc.discover";
/// The version of OpenRPC that it follows.
pub const OPENRPC_VERSION: &str = "1.2.6";

/// The whole description; `with_dev` says whether the `dev` namespace is served.
pub fn document(with_dev: bool) -> Value {
    let mut methods = Methods::new();
    chain::describe(&mut methods.namespace("chain"));
    tx::describe(&mut methods.namespace("tx"));
    account::describe(&mut methods.namespace("account"));
    market::describe(&mut methods.namespace("market"));
    stake::describe(&mut methods.namespace("stake"));
    round::describe(&mut methods.namespace("round"));
    audit::describe(&mut methods.namespace("audit"));
    if with_dev {
        dev::describe(&mut methods.namespace("dev"));
    }
    methods.into_document()
}

/// Collects the methods of all namespaces and the shapes that they share.
struct Methods {
    schemas: SchemaGenerator,
    methods: Vec<Value>,
}

/// Collects the methods of one namespace.
pub(crate) struct Namespace<'a> {
    name: &'static str,
    methods: &'a mut Methods,
}

/// One method while it is being described.
#[must_use = "a method is described once it says what it returns"]
pub(crate) struct Method<'a> {
    methods: &'a mut Methods,
    document: Value,
    params: Vec<Value>,
}

impl Methods {
    fn new() -> Self {
        let settings = SchemaSettings::draft07().with(|settings| {
            settings.definitions_path = "/components/schemas".into();
            settings.meta_schema = None;
        });
        Self { schemas: settings.into_generator(), methods: Vec::new() }
    }

    const fn namespace(&mut self, name: &'static str) -> Namespace<'_> {
        Namespace { name, methods: self }
    }

    fn into_document(mut self) -> Value {
        let error = |row: &ErrorCode| {
            let data = json!({ "reason": row.reason, "hint": row.hint });
            (row.reason.to_owned(), json!({ "code": row.code, "message": row.reason, "data": data }))
        };
        json!({
            "openrpc": OPENRPC_VERSION,
            "info": {
                "title": "Holdfast",
                "description": "A storage marketplace on a ledger: chain, transactions, accounts, market, stake, rounds, audits.",
                "version": env!("CARGO_PKG_VERSION"),
                "license": { "name": "Apache-2.0" },
            },
            "methods": self.methods,
            "components": {
                "schemas": self.schemas.take_definitions(true),
                "errors": CODES.iter().chain(STANDARD).map(error).collect::<serde_json::Map<_, _>>(),
            },
        })
    }
}

impl Namespace<'_> {
    /// A method that is called and answered.
    pub(crate) fn method(&mut self, name: &str, summary: &str) -> Method<'_> {
        let document =
            json!({ "name": format!("{}_{name}", self.name), "summary": summary, "paramStructure": "either" });
        Method { methods: self.methods, document, params: Vec::new() }
    }

    /// A subscription, over WebSocket only. What it returns is the shape of each notification.
    pub(crate) fn subscription(&mut self, name: &str, unsubscribe: &str, summary: &str) -> Method<'_> {
        let document = json!({
            "name": format!("{}_{name}", self.name),
            "summary": summary,
            "paramStructure": "either",
            "x-subscription": { "unsubscribe": format!("{}_{unsubscribe}", self.name) },
        });
        Method { methods: self.methods, document, params: Vec::new() }
    }
}

impl Method<'_> {
    /// A parameter that must be given.
    pub(crate) fn needs<T: JsonSchema>(self, name: &str) -> Self {
        self.param::<T>(name, true)
    }

    /// A parameter that may be left out.
    pub(crate) fn takes<T: JsonSchema>(self, name: &str) -> Self {
        self.param::<T>(name, false)
    }

    /// What comes back. Ends the description.
    pub(crate) fn returns<T: JsonSchema>(mut self) {
        let schema = self.methods.schemas.subschema_for::<T>();
        self.document["params"] = Value::Array(self.params);
        self.document["result"] = json!({ "name": "result", "schema": schema });
        self.methods.methods.push(self.document);
    }

    fn param<T: JsonSchema>(mut self, name: &str, required: bool) -> Self {
        let schema: Schema = self.methods.schemas.subschema_for::<T>();
        self.params.push(json!({ "name": name, "required": required, "schema": schema }));
        self
    }
}
