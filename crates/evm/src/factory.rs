//! The EVM behind alloy-evm's traits.

use alloy_evm::{Database, Evm, EvmEnv, EvmFactory, eth::EthEvmContext, precompiles::PrecompilesMap};
use alloy_primitives::{Address, Bytes};
use revm::{
    Inspector,
    context::{BlockEnv, CfgEnv, Context, DBErrorMarker, TxEnv},
    context_interface::result::{EVMError, HaltReason, ResultAndState},
    handler::SystemCallTx,
    inspector::NoOpInspector,
    primitives::hardfork::SpecId,
};

use crate::{Compiler, RapidEvm, vm::Inspection};

/// Makes EVMs that share a compiler.
#[derive(Clone, Debug, Default)]
pub struct RapidEvmFactory {
    compiler: Compiler,
}

impl RapidEvmFactory {
    /// EVMs with code of this compiler.
    #[must_use]
    pub const fn new(compiler: Compiler) -> Self {
        Self { compiler }
    }
}

impl EvmFactory for RapidEvmFactory {
    type Evm<DB: Database, I: Inspector<EthEvmContext<DB>>> = RapidEvm<DB, I>;
    type Context<DB: Database> = EthEvmContext<DB>;
    type Tx = TxEnv;
    type Error<DBError: DBErrorMarker> = EVMError<DBError>;
    type HaltReason = HaltReason;
    type Spec = SpecId;
    type BlockEnv = BlockEnv;
    type Precompiles = PrecompilesMap;

    fn create_evm<DB: Database>(&self, database: DB, env: EvmEnv) -> RapidEvm<DB, NoOpInspector> {
        RapidEvm::new(database, env, NoOpInspector, &self.compiler)
    }

    fn create_evm_with_inspector<DB: Database, I: Inspector<EthEvmContext<DB>>>(
        &self,
        database: DB,
        env: EvmEnv,
        inspector: I,
    ) -> RapidEvm<DB, I> {
        let mut evm = RapidEvm::new(database, env, inspector, &self.compiler);
        evm.set_inspector_enabled(true);
        evm
    }
}

impl<DB: Database, I: Inspector<EthEvmContext<DB>>> Evm for RapidEvm<DB, I> {
    type DB = DB;
    type Tx = TxEnv;
    type Error = EVMError<DB::Error>;
    type HaltReason = HaltReason;
    type Spec = SpecId;
    type BlockEnv = BlockEnv;
    type Precompiles = PrecompilesMap;
    type Inspector = I;

    fn block(&self) -> &BlockEnv {
        &self.inner.ctx.block
    }

    fn cfg_env(&self) -> &CfgEnv {
        &self.inner.ctx.cfg
    }

    fn chain_id(&self) -> u64 {
        self.inner.ctx.cfg.chain_id
    }

    fn transact_raw(&mut self, tx: TxEnv) -> Result<ResultAndState, Self::Error> {
        match self.inspection {
            Inspection::On => self.inspect_transaction(tx),
            Inspection::Off => self.run_transaction(tx),
        }
    }

    fn transact_system_call(
        &mut self,
        caller: Address,
        contract: Address,
        data: Bytes,
    ) -> Result<ResultAndState, Self::Error> {
        self.run_system_call(TxEnv::new_system_tx_with_caller(caller, contract, data))
    }

    fn finish(self) -> (DB, EvmEnv) {
        let Context {
            block: block_env,
            cfg: cfg_env,
            journaled_state,
            ..
        } = self.inner.ctx;
        (journaled_state.database, EvmEnv { cfg_env, block_env })
    }

    fn set_inspector_enabled(&mut self, enabled: bool) {
        self.inspection = if enabled { Inspection::On } else { Inspection::Off };
    }

    fn components(&self) -> (&DB, &I, &PrecompilesMap) {
        let inner = &self.inner;
        (
            &inner.ctx.journaled_state.database,
            &inner.inspector,
            &inner.precompiles,
        )
    }

    fn components_mut(&mut self) -> (&mut DB, &mut I, &mut PrecompilesMap) {
        let inner = &mut self.inner;
        (
            &mut inner.ctx.journaled_state.database,
            &mut inner.inspector,
            &mut inner.precompiles,
        )
    }
}
