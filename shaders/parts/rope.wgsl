// Rotary position: the angle of pair i at position pos, as cos and sin times the scaling's own factor.
// Frequencies are turns per position in units of 2^-32, so that pos * frequency wraps exactly at whole turns and the
// fraction that is left keeps its precision at any position, where a float angle would lose it.
// The built-in cos and sin may be off by 2^-11, and by 2e-4 they are on SwiftShader: too much for attention. Taking
// quarter turns off an integer is exact, and on the eighth of a turn that is left to each side, polynomials (those of
// Cephes, sinf and cosf) are right to float precision.
fn rope_turn(pos: u32, frequency: u32, factor: f32) -> vec2f {
    let phase = pos * frequency;
    let quarter = (phase + 0x20000000u) >> 30u;
    let x = f32(bitcast<i32>(phase - (quarter << 30u))) * 1.4629180792671596e-9; // 2 pi / 2^32
    let z = x * x;
    let s = x + x * z * (-1.6666654611e-1 + z * (8.3321608736e-3 - z * 1.9515295891e-4));
    let c = 1.0 - 0.5 * z + z * z * (4.166664568298827e-2 + z * (-1.388731625493765e-3 + z * 2.443315711809948e-5));
    let turned = select(vec2f(c, s), vec2f(s, c), (quarter & 1u) == 1u);
    let sign = select(vec2f(1.0), vec2f(-1.0), vec2<bool>(quarter == 1u || quarter == 2u, quarter >= 2u));
    return turned * sign * factor;
}
