// Rotary position: the angle of pair i at position pos, as cos and sin times the scaling's own factor.
// Frequencies are turns per position in units of 2^-32, so that pos * frequency wraps exactly at whole turns and the
// fraction that is left keeps its precision at any position, where a float angle would lose it.
fn rope_turn(pos: u32, frequency: u32, factor: f32) -> vec2f {
    let angle = f32(bitcast<i32>(pos * frequency)) * 1.4629180792671596e-9; // 2 pi / 2^32
    return vec2f(cos(angle), sin(angle)) * factor;
}
