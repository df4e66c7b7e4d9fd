//! Placement: memory shared by what is never alive together. Decided from sizes alone, without a device.

/// Something that needs memory from its first use to its last.
#[derive(Clone, Debug)]
pub struct Need {
    /// How many bytes.
    pub bytes: u64,
    /// The time of its first use; after `last` if there is none.
    pub first: usize,
    /// The time of its last use.
    pub last: usize,
    /// Needs before it that a dispatch binds together with it, one of both for writing: WebGPU wants them in different
    /// buffers.
    pub apart: Vec<usize>,
}

impl Need {
    /// Makes a need that is not used yet.
    pub fn new(bytes: u64) -> Need {
        Need { bytes, first: usize::MAX, last: 0, apart: Vec::new() }
    }

    /// Notes uses from one time to another.
    pub fn used(&mut self, first: usize, last: usize) {
        self.first = self.first.min(first);
        self.last = self.last.max(last);
    }

    fn overlaps(&self, other: &Need) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

/// Where needs lie that are alive at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// In different buffers.
    Apart,
    /// In one buffer side by side, unless a dispatch binds both ([`Need::apart`]).
    SideBySide,
}

/// A buffer, and where in it.
#[derive(Clone, Copy, Debug)]
pub struct Placed {
    /// An index into [`Placement::buffers`].
    pub buffer: usize,
    /// In bytes.
    pub offset: u64,
}

/// A place for every need.
#[derive(Clone, Debug)]
pub struct Placement {
    /// Sizes of the buffers in bytes.
    pub buffers: Vec<u64>,
    /// Where each need is met; `None` for those that are never used.
    pub places: Vec<Option<Placed>>,
}

/// Bindings begin at a multiple of this.
const ALIGN: u64 = 256;

impl Placement {
    /// Places the largest need first; each takes the first gap that is free for its whole life, or a new buffer (the
    /// "greedy by size" assignments of Pisarchyk and Lee, 2020).
    pub fn of(needs: &[Need], sharing: Sharing) -> Placement {
        let mut order: Vec<usize> = (0..needs.len()).filter(|&i| needs[i].first <= needs[i].last).collect();
        order.sort_by_key(|&i| (std::cmp::Reverse(needs[i].bytes), i));
        // Sizes, and the needs that are in each.
        let mut buffers: Vec<(u64, Vec<usize>)> = Vec::new();
        let mut places: Vec<Option<Placed>> = vec![None; needs.len()];
        for i in order {
            let need = &needs[i];
            let gap = |(size, users): &(u64, Vec<usize>)| -> Option<u64> {
                if users.iter().any(|&u| need.apart.contains(&u) || needs[u].apart.contains(&i)) {
                    return None;
                }
                let beside = users.iter().filter(|&&u| needs[u].overlaps(need));
                let mut taken: Vec<(u64, u64)> =
                    beside.filter_map(|&u| places[u].map(|at| (at.offset, needs[u].bytes))).collect();
                if sharing == Sharing::Apart && !taken.is_empty() {
                    return None;
                }
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
            places[i] = Some(Placed { buffer, offset });
            match buffers.get_mut(buffer) {
                Some((_, users)) => users.push(i),
                None => buffers.push((need.bytes, vec![i])),
            }
        }
        Placement { buffers: buffers.into_iter().map(|(bytes, _)| bytes).collect(), places }
    }

    /// Sums up the bytes of all buffers.
    pub fn bytes(&self) -> u64 {
        self.buffers.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::{Need, Placement, Sharing};

    fn need(bytes: u64, first: usize, last: usize) -> Need {
        Need { bytes, first, last, apart: Vec::new() }
    }

    fn places(needs: &[Need], sharing: Sharing) -> (Vec<u64>, Vec<Option<(usize, u64)>>) {
        let Placement { buffers, places } = Placement::of(needs, sharing);
        (buffers, places.into_iter().map(|at| at.map(|at| (at.buffer, at.offset))).collect())
    }

    #[test]
    fn memory_is_shared_by_what_is_not_alive_together() {
        let needs = [need(1000, 0, 1), need(600, 2, 3), need(300, 3, 4), Need::new(50)];
        let (buffers, apart) = places(&needs, Sharing::Apart);
        assert_eq!((buffers, apart), (vec![1000, 300], vec![Some((0, 0)), Some((0, 0)), Some((1, 0)), None]));
        let needs = [need(1000, 0, 1), need(600, 2, 3), need(200, 3, 4)];
        let (buffers, beside) = places(&needs, Sharing::SideBySide);
        assert_eq!((buffers, beside), (vec![1000], vec![Some((0, 0)), Some((0, 0)), Some((0, 768))]));
    }

    #[test]
    fn what_a_dispatch_binds_together_lies_in_different_buffers() {
        let mut needs = [need(1000, 0, 1), need(600, 2, 2), need(100, 2, 3)];
        needs[2].apart.push(1);
        let (buffers, _) = places(&needs, Sharing::SideBySide);
        assert_eq!(buffers, [1000, 100]);
    }
}
