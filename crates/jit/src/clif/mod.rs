//! The optimising tier: traces to machine code by Cranelift.
//!
//! Traces are put into functions of bounded size, since register allocation takes more than linear time. Functions go on in
//! each other by tail calls, with the frame, the stack pointer and the gas in registers:
//!
//! ```text
//!  enter (System V) --call--> function (tail) --jump--> function (tail) --return status--> enter --> Rust
//! ```

mod function;
mod lower;
mod word;

use std::sync::LazyLock;

use cranelift_codegen::{
    Context,
    binemit::Reloc,
    control::ControlPlane,
    ir::{AbiParam, Signature, types::I64},
    isa::{CallConv, OwnedTargetIsa, TargetFrontendConfig, TargetIsa, lookup_by_name},
    settings::{self, Configurable},
};
use cranelift_frontend::FunctionBuilderContext;

use self::function::FunctionCompiler;
use crate::{CompileError, CompileOptions, analysis::Analysis, emitted::Emitted};

/// EVM instructions in one function at most, if it has more than one trace.
const FUNCTION_INSTRUCTIONS_MAX: usize = 1000;

/// Functions start at multiples of this.
const ALIGNMENT: usize = 16;

/// Compiles all traces.
///
/// # Errors
/// [`CompileError::Unsupported`] or [`CompileError::Codegen`].
pub(crate) fn emit(analysis: &Analysis, options: &CompileOptions) -> Result<Emitted, CompileError> {
    let isa = isa()?;
    let mut linker = Linker::new(&*isa);
    linker.add_function(function::define_grow)?;
    let enter_offset = linker.add_function(function::define_enter)?;
    let mut target_offsets = vec![0; analysis.program.traces.len()];
    for range in functions(analysis) {
        let compiler = FunctionCompiler {
            analysis,
            options,
            range: range.clone(),
        };
        let offset =
            linker.add_function(|context, builder, config| compiler.define(context, builder, config))?;
        target_offsets[range].fill(offset as u32);
    }
    Ok(Emitted {
        code: linker.code,
        enter_offset,
        target_offsets,
    })
}

/// Which traces go into one function.
fn functions(analysis: &Analysis) -> Vec<std::ops::Range<usize>> {
    let mut ranges = Vec::new();
    let (mut start, mut instructions) = (0, 0);
    for (index, trace) in analysis.program.traces.iter().enumerate() {
        if instructions > 0 && instructions + trace.instructions > FUNCTION_INSTRUCTIONS_MAX {
            ranges.push(start..index);
            (start, instructions) = (index, 0);
        }
        instructions += trace.instructions;
    }
    ranges.push(start..analysis.program.traces.len());
    ranges
}

/// Code generation for this processor.
fn isa() -> Result<OwnedTargetIsa, CompileError> {
    static ISA: LazyLock<Result<OwnedTargetIsa, String>> = LazyLock::new(|| {
        if !cfg!(target_arch = "x86_64") {
            return Err(std::env::consts::ARCH.to_owned());
        }
        let mut flags = settings::builder();
        for (name, value) in [
            ("opt_level", "none"),
            ("enable_verifier", if cfg!(test) { "true" } else { "false" }),
            ("enable_probestack", "false"),
            // Tail calls need them.
            ("preserve_frame_pointers", "true"),
            ("unwind_info", "false"),
            ("is_pic", "false"),
            ("enable_table_access_spectre_mitigation", "false"),
            ("enable_heap_access_spectre_mitigation", "false"),
        ] {
            flags.set(name, value).map_err(|error| error.to_string())?;
        }
        let mut builder = lookup_by_name("x86_64").map_err(|error| error.to_string())?;
        detect_features(&mut builder).map_err(|error| error.to_string())?;
        builder
            .finish(settings::Flags::new(flags))
            .map_err(|error| error.to_string())
    });
    ISA.clone().map_err(CompileError::Unsupported)
}

/// Tells Cranelift what the processor has of what it can use for integers.
fn detect_features(builder: &mut cranelift_codegen::isa::Builder) -> settings::SetResult<()> {
    #[cfg(target_arch = "x86_64")]
    {
        macro_rules! enable_if_detected {
            ($($detected:tt => $setting:literal,)+) => {$(
                if std::is_x86_feature_detected!($detected) {
                    builder.enable($setting)?;
                }
            )+};
        }
        enable_if_detected! {
            "sse3" => "has_sse3",
            "ssse3" => "has_ssse3",
            "sse4.1" => "has_sse41",
            "sse4.2" => "has_sse42",
            "popcnt" => "has_popcnt",
            "bmi1" => "has_bmi1",
            "bmi2" => "has_bmi2",
            "lzcnt" => "has_lzcnt",
        }
    }
    let _ = builder;
    Ok(())
}

/// The signature of a function that traces are in: `(frame, sp, gas, entry) -> status`.
fn trace_signature() -> Signature {
    signature(CallConv::Tail, 4, 1)
}

/// A signature over 64-bit integers.
fn signature(convention: CallConv, parameters: usize, results: usize) -> Signature {
    Signature {
        params: vec![AbiParam::new(I64); parameters],
        returns: vec![AbiParam::new(I64); results],
        call_conv: convention,
    }
}

/// Puts functions one behind the other.
struct Linker<'a> {
    isa: &'a dyn TargetIsa,
    code: Vec<u8>,
    /// Where each function starts, by its number as others call it.
    starts: Vec<usize>,
    context: Context,
    builder: FunctionBuilderContext,
}

/// Number of the function that pays for memory ([`function::define_grow`]).
const GROW: u32 = 0;

impl<'a> Linker<'a> {
    fn new(isa: &'a dyn TargetIsa) -> Self {
        Self {
            isa,
            code: Vec::new(),
            starts: Vec::new(),
            context: Context::new(),
            builder: FunctionBuilderContext::new(),
        }
    }

    /// Defines, compiles and places a function. Returns its offset.
    fn add_function(
        &mut self,
        define: impl FnOnce(&mut Context, &mut FunctionBuilderContext, TargetFrontendConfig),
    ) -> Result<usize, CompileError> {
        self.context.clear();
        define(&mut self.context, &mut self.builder, self.isa.frontend_config());
        self.context
            .compile(self.isa, &mut ControlPlane::default())
            .map_err(|error| CompileError::Codegen(format!("{:?}", error.inner)))?;
        let Some(compiled) = self.context.compiled_code() else {
            return Err(CompileError::Codegen("no code".to_owned()));
        };
        let start = self.code.len().next_multiple_of(ALIGNMENT);
        self.code.resize(start, 0xcc);
        self.code.extend_from_slice(compiled.buffer.data());
        self.starts.push(start);
        for relocation in compiled.buffer.relocs() {
            let user_name = match &relocation.target {
                cranelift_codegen::FinalizedRelocTarget::ExternalName(
                    cranelift_codegen::ir::ExternalName::User(name),
                ) => &self.context.func.params.user_named_funcs()[*name],
                other => return Err(CompileError::Codegen(format!("relocation to {other:?}"))),
            };
            if !matches!(relocation.kind, Reloc::X86CallPCRel4 | Reloc::X86PCRel4) {
                return Err(CompileError::Codegen(format!("relocation {:?}", relocation.kind)));
            }
            let at = start + relocation.offset as usize;
            let target = self.starts[user_name.index as usize];
            let distance = target as i64 + relocation.addend - at as i64;
            self.code[at..at + 4].copy_from_slice(&(distance as i32).to_le_bytes());
        }
        Ok(start)
    }
}

impl std::fmt::Debug for Linker<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Linker")
            .field("functions", &self.starts.len())
            .finish_non_exhaustive()
    }
}
