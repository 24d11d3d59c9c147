//! Contracts that compute: pictures, numbers, curves.

use super::artifact::{Argument, artifact, creation, input, word};
use crate::jit::workload::{Call, Workload};
use alloy_primitives::{Bytes, U256};

/// Elements of the vector that a model turns over; a layer is the square of it in bytes.
const MODEL_SIZE: usize = 128;
/// Layers of the model.
const MODEL_LAYERS: usize = 2;

/// Name, creation code, signature of what is called, arguments.
type Program = (&'static str, &'static str, &'static str, &'static [u64]);

const NUMBERS: &str = artifact!("Numbers");

const PROGRAMS: &[Program] = &[
    (
        "path_tracer",
        artifact!("PathTracer"),
        RENDER_SIGNED,
        &[16, 12, 1],
    ),
    (
        "path_tracer_ir",
        artifact!("PathTracerViaIr"),
        RENDER_SIGNED,
        &[16, 12, 1],
    ),
    (
        "fractal",
        artifact!("Fractal"),
        "render(uint256,uint256,uint256)",
        &[64, 48, 60],
    ),
    ("matrix_product", NUMBERS, "multiply(uint256)", &[24]),
    ("quicksort", NUMBERS, "sort(uint256)", &[1_000]),
    ("hash_10k", NUMBERS, "hashes(uint256)", &[10_000]),
    ("sha256_loop", NUMBERS, "sha(uint256)", &[500]),
    ("ecrecover_loop", NUMBERS, "recover(uint256)", &[20]),
];

const RENDER_SIGNED: &str = "render(int256,int256,uint256)";

/// Creates the contract of numbers: sorting, hashing, multiplying matrices.
///
/// # Errors
/// If the committed program is damaged.
pub(crate) fn numbers_creation() -> eyre::Result<Bytes> {
    creation(NUMBERS, &[])
}

pub(super) fn workloads() -> eyre::Result<Vec<Workload>> {
    let mut workloads = PROGRAMS.iter().map(program).collect::<eyre::Result<Vec<_>>>()?;
    workloads.push(curve()?);
    workloads.push(inference()?);
    Ok(workloads)
}

/// Sets up the path tracer, and says how to render a small picture: about nine million gas.
pub(super) fn small_picture(workload: &mut Workload) -> eyre::Result<Call> {
    let tracer = workload.create(creation(artifact!("PathTracer"), &[])?);
    let size = [6, 4, 1].map(Argument::from);
    Ok(Call::to(tracer, input(RENDER_SIGNED, &size)))
}

fn program(&(name, code, signature, arguments): &Program) -> eyre::Result<Workload> {
    let mut workload = Workload::new(name);
    let contract = workload.create(creation(code, &[])?);
    let arguments: Vec<_> = arguments.iter().map(|&argument| argument.into()).collect();
    workload
        .transactions
        .push(Call::to(contract, input(signature, &arguments)));
    Ok(workload)
}

/// A scalar without a pattern.
const SCALAR: U256 = U256::from_limbs([
    0x9e37_79b9_7f4a_7c15,
    0xf39c_c060_5ced_c835,
    0x1082_276b_f3a2_7251,
    7 << 60,
]);

fn curve() -> eyre::Result<Workload> {
    let mut workload = Workload::new("secp256k1_multiply");
    let contract = workload.create(creation(artifact!("Curve"), &[])?);
    let data = input("multiply(uint256)", &[SCALAR.into()]);
    workload.transactions.push(Call::to(contract, data));
    Ok(workload)
}

/// A model whose weights are the code of contracts that nobody calls.
fn inference() -> eyre::Result<Workload> {
    let mut workload = Workload::new("inference");
    let layers = (0..MODEL_LAYERS)
        .map(|layer| word(workload.place(weights(layer))))
        .collect();
    let arguments = [(MODEL_SIZE as u64).into(), Argument::List(layers)];
    let model = workload.create(creation(artifact!("Inference"), &arguments)?);
    let data = input("run(uint256)", &[1.into()]);
    workload.transactions.push(Call::to(model, data));
    Ok(workload)
}

/// `STOP`, then signed bytes without a pattern.
fn weights(layer: usize) -> Bytes {
    let mut state = 0x9e37_79b9_u32 + layer as u32;
    let mut code = vec![0];
    code.extend((0..MODEL_SIZE * MODEL_SIZE).map(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    }));
    code.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jit::prepared::Prepared;

    fn output(workload: &Workload) -> Vec<u8> {
        let outcome = Prepared::of(workload).unwrap().outcome().unwrap();
        outcome.result[0].output().unwrap().to_vec()
    }

    /// The contract's point is the one that the curve's own implementation finds.
    #[test]
    fn curve_multiplies() {
        use alloy_signer_local::PrivateKeySigner;
        let signer = PrivateKeySigner::from_bytes(&SCALAR.into()).unwrap();
        let hash = alloy_primitives::keccak256(output(&curve().unwrap()));
        assert_eq!(signer.address().as_slice(), &hash[12..]);
    }

    /// Both ways of compiling give the same picture.
    #[test]
    fn path_tracers_agree() {
        let pictures = [&PROGRAMS[0], &PROGRAMS[1]].map(|tracer| output(&program(tracer).unwrap()));
        assert_eq!(pictures[0], pictures[1]);
        assert!(pictures[0].iter().any(|&byte| byte != 0));
    }

    /// The fractal has a shape: it is not that of another window.
    #[test]
    fn fractal_depends_on_its_limit() {
        let mut shallow = PROGRAMS[2];
        shallow.3 = &[64, 48, 2];
        assert_ne!(
            output(&program(&shallow).unwrap()),
            output(&program(&PROGRAMS[2]).unwrap())
        );
    }
}
