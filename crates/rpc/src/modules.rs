//! The methods of every namespace, and what a transport makes of them.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::Arc,
};

use jsonrpsee::{Methods, RpcModule, core::RegisterMethodError};

use crate::{Namespace, NamespaceSelection, middleware::batch::SubmitRaw};

/// Registered methods, before a transport selects among them.
#[derive(Clone, Default)]
pub struct RpcModules {
    namespaces: BTreeMap<Namespace, Methods>,
    auth: Methods,
    submit: Option<Arc<dyn SubmitRaw>>,
}

impl RpcModules {
    /// No methods.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds methods to a namespace.
    ///
    /// # Errors
    /// When a method of that name is there already.
    pub fn merge(
        &mut self,
        namespace: Namespace,
        methods: impl Into<Methods>,
    ) -> Result<(), RegisterMethodError> {
        self.namespaces.entry(namespace).or_default().merge(methods)
    }

    /// Adds methods to the JWT port.
    ///
    /// # Errors
    /// When a method of that name is there already.
    pub fn merge_auth(&mut self, methods: impl Into<Methods>) -> Result<(), RegisterMethodError> {
        self.auth.merge(methods)
    }

    /// Adds methods of a namespace, by name, to the JWT port.
    ///
    /// # Errors
    /// When one of them is there already. Names that are not registered are passed over.
    pub fn expose_on_auth(
        &mut self,
        namespace: Namespace,
        names: &[&'static str],
    ) -> Result<(), RegisterMethodError> {
        let Some(methods) = self.namespaces.get(&namespace) else {
            return Ok(());
        };
        let mut exposed = Methods::new();
        for name in names {
            if let Some(callback) = methods.method(name) {
                exposed.verify_and_insert(name, callback.clone())?;
            }
        }
        self.auth.merge(exposed)
    }

    /// Sets where batched raw transactions go. Without it they are answered one by one.
    pub fn set_submit(&mut self, submit: Arc<dyn SubmitRaw>) {
        self.submit = Some(submit);
    }

    /// What a transport serves under a selection, `rpc_modules` included if `rpc` is selected.
    pub(crate) fn select(&self, selection: &NamespaceSelection) -> TransportMethods {
        let mut methods = Methods::new();
        let mut served = HashMap::new();
        for namespace in selection.iter() {
            if let Some(of_namespace) = self.namespaces.get(&namespace) {
                methods
                    .merge(of_namespace.clone())
                    .expect("names differ between namespaces");
                served.insert(namespace.name(), "1.0");
            }
        }
        if selection.contains(Namespace::Rpc) {
            served.insert(Namespace::Rpc.name(), "1.0");
            methods
                .merge(rpc_modules(served))
                .expect("only this place registers rpc_modules");
        }
        self.with_submit(methods)
    }

    /// What the JWT port serves.
    pub(crate) fn auth(&self) -> TransportMethods {
        self.with_submit(self.auth.clone())
    }

    fn with_submit(&self, methods: Methods) -> TransportMethods {
        let serves_raw = methods.method("eth_sendRawTransaction").is_some();
        TransportMethods {
            methods,
            submit: self.submit.clone().filter(|_| serves_raw),
        }
    }
}

impl fmt::Debug for RpcModules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RpcModules")
            .field("namespaces", &self.namespaces)
            .field("auth", &self.auth)
            .finish()
    }
}

/// The methods of one transport.
#[derive(Clone)]
pub(crate) struct TransportMethods {
    pub(crate) methods: Methods,
    pub(crate) submit: Option<Arc<dyn SubmitRaw>>,
}

fn rpc_modules(served: HashMap<&'static str, &'static str>) -> Methods {
    let mut module = RpcModule::new(());
    module
        .register_method("rpc_modules", move |_, _, _| serde_json::json!(served))
        .expect("the module is empty");
    module.into()
}
