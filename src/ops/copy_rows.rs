//! Rows of a feature map to where another has them, in a graph that is run once for each band of a picture.
//!   x -> y, both [rows, W, C]

use super::map::{Map, Rows};
use crate::gpu::Access::{Read, Write};
use crate::gpu::{Kernel, Params, params, wgsl};

pub(super) static COPY_ROWS: Kernel = Kernel {
    name: "copy_rows",
    source: wgsl!(include_str!("../../shaders/copy_rows.wgsl")),
    bindings: &[Read, Write, Read],
    fields: CopyParams::FIELDS,
};

params! {
    struct CopyParams {
        row: u32, count: u32, x_rows: u32, y_rows: u32,
        mul: i32, add: i32, x_mul: i32, x_add: i32, y_mul: i32, y_add: i32,
    }
}

impl<'g> Map<'g> {
    /// Copies those of `rows` that both have. One picture, in a banded graph.
    #[track_caller]
    pub fn copy_rows(self, rows: Rows, into: Self) {
        assert_eq!((self.n, into.n, self.w, self.channels()), (1, 1, into.w, into.channels()), "copy_rows: other maps");
        let graph = self.t.graph();
        let row = self.w * self.t.stride() / 4;
        graph
            .op(&COPY_ROWS)
            .bind(self.t)
            .bind(into.t)
            .region(graph.band())
            .params(CopyParams {
                row: row as u32,
                count: rows.count as u32,
                x_rows: self.rows.count as u32,
                y_rows: into.rows.count as u32,
                mul: rows.mul,
                add: rows.add,
                x_mul: self.rows.mul,
                x_add: self.rows.add,
                y_mul: into.rows.mul,
                y_add: into.rows.add,
            })
            .dispatch_linear((rows.count * row).div_ceil(64));
    }
}
