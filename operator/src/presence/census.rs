//! How far the nodes whose agents are ready have come, at one moment. Pure.

/// So many laggards are named.
const NAMED: usize = 5;

/// Where a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It has all entries up to this one.
    At(i64),
    /// It has nothing yet.
    Empty,
    /// Its file is not of this ledger.
    Forked,
    /// Its agent is ready and has not reported.
    Silent,
}

/// The nodes in the order of their positions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Census {
    /// Those without a usable position: behind every entry. By name.
    nowhere: Vec<(String, &'static str)>,
    /// The others, the one furthest behind first.
    somewhere: Vec<(i64, String)>,
}

impl Census {
    pub(super) fn of<'a>(nodes: impl Iterator<Item = (&'a str, Standing)>) -> Self {
        let mut census = Self::default();
        for (node, standing) in nodes {
            let why = match standing {
                Standing::At(seq) => {
                    census.somewhere.push((seq, node.to_owned()));
                    continue;
                }
                Standing::Empty => "empty",
                Standing::Forked => "forked",
                Standing::Silent => "no report",
            };
            census.nowhere.push((node.to_owned(), why));
        }
        census.nowhere.sort_unstable();
        census.somewhere.sort_unstable();
        census
    }

    /// How many nodes there are.
    pub(super) fn nodes(&self) -> usize {
        self.nowhere.len() + self.somewhere.len()
    }

    /// How many of them said where they are.
    pub(super) fn placed(&self) -> usize {
        self.somewhere.len()
    }

    /// How many are at this entry or past it.
    pub(super) fn reached(&self, seq: i64) -> usize {
        self.somewhere.len() - self.behind(seq)
    }

    /// The position of the one furthest behind, among those that have one.
    pub(super) fn least(&self) -> Option<i64> {
        self.somewhere.first().map(|(seq, _)| *seq)
    }

    /// Those that are not at this entry yet, the worst first: some names and how many more.
    pub(super) fn laggards(&self, seq: i64) -> String {
        let nowhere = self.nowhere.iter().map(|(node, why)| format!("{node} ({why})"));
        let behind = self.behind(seq);
        let somewhere = self.somewhere.iter().take(behind).map(|(_, node)| node.clone());
        let mut named: Vec<_> = nowhere.chain(somewhere).take(NAMED).collect();
        let more = self.nowhere.len() + behind - named.len();
        if more > 0 {
            named.push(format!("{more} more"));
        }
        match named.split_last() {
            Some((last, [])) => last.clone(),
            Some((last, others)) => format!("{} and {last}", others.join(", ")),
            None => String::new(),
        }
    }

    fn behind(&self, seq: i64) -> usize {
        self.somewhere.partition_point(|(at, _)| *at < seq)
    }
}
