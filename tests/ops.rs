//! Every op, on every choice of kernels that the adapter can run, against plain loops in f64 (tests/support/reference); and the
//! promises of plans.
//!
//! The driver is the platform's; `VK_ICD_FILENAMES` chooses another.

mod ops {
    mod add;
    mod attend;
    mod attention;
    mod attention_decode;
    mod attention_kinds;
    mod choices;
    mod concat;
    mod conv2d;
    mod conv2d_bands;
    mod copy_rows;
    mod denoise;
    mod embed;
    mod gate;
    mod group_norm;
    mod heads;
    mod last_row;
    mod layer_norm;
    mod linear;
    mod merge;
    mod multiply_add;
    mod packed;
    mod plan;
    mod pool;
    mod rescale;
    mod rms_norm;
    mod rope_append;
    mod sample;
    mod short_conv;
    mod stream_read;
}
