//! Where results live: memory shared by what is never alive together.

/// Something that needs memory from its first use to its last.
#[derive(Clone, Debug)]
pub(super) struct Need {
    pub bytes: u64,
    pub first: usize,
    pub last: usize,
    /// Needs before it that a dispatch binds together with it, one of both for writing: WebGPU wants them in different
    /// buffers.
    pub apart: Vec<usize>,
}

impl Need {
    /// Nothing uses it yet.
    pub fn new(bytes: u64) -> Need {
        Need { bytes, first: usize::MAX, last: 0, apart: Vec::new() }
    }

    pub fn used(&mut self, first: usize, last: usize) {
        self.first = self.first.min(first);
        self.last = self.last.max(last);
    }

    fn overlaps(&self, other: &Need) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

/// A buffer, and where in it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place {
    pub buffer: usize,
    pub offset: u64,
}

/// Bindings begin at a multiple of this.
const ALIGN: u64 = 256;

/// Sizes of buffers, and where in them each need is met: the largest first, each takes the first gap that is free for
/// its whole life (after the "greedy by size" assignments of Pisarchyk and Lee, 2020), or a new buffer. What is never
/// used is nowhere.
pub(super) fn place(needs: &[Need]) -> (Vec<u64>, Vec<Place>) {
    let mut order: Vec<usize> = (0..needs.len()).filter(|&i| needs[i].first <= needs[i].last).collect();
    order.sort_by_key(|&i| (std::cmp::Reverse(needs[i].bytes), i));
    let mut buffers: Vec<(u64, Vec<usize>)> = Vec::new();
    let mut places = vec![Place::default(); needs.len()];
    for i in order {
        let need = &needs[i];
        let gap = |(size, users): &(u64, Vec<usize>)| -> Option<u64> {
            if users.iter().any(|&u| need.apart.contains(&u) || needs[u].apart.contains(&i)) {
                return None;
            }
            let taken = users.iter().filter(|&&u| needs[u].overlaps(need));
            let mut taken: Vec<(u64, u64)> = taken.map(|&u| (places[u].offset, needs[u].bytes)).collect();
            taken.sort_unstable();
            let mut offset = 0;
            for (begin, bytes) in taken {
                if offset + need.bytes <= begin {
                    break;
                }
                offset = offset.max((begin + bytes).next_multiple_of(ALIGN));
            }
            (offset + need.bytes <= *size).then_some(offset)
        };
        let found = buffers.iter().enumerate().find_map(|(at, buffer)| Some((at, gap(buffer)?)));
        let (buffer, offset) = found.unwrap_or((buffers.len(), 0));
        places[i] = Place { buffer, offset };
        match buffers.get_mut(buffer) {
            Some((_, users)) => users.push(i),
            None => buffers.push((need.bytes, vec![i])),
        }
    }
    (buffers.into_iter().map(|(bytes, _)| bytes).collect(), places)
}

/// Bytes that these needs take together.
pub(super) fn bytes(needs: &[Need]) -> u64 {
    place(needs).0.iter().sum()
}
