//! Does what other tasks ask for, between two turns of the loop. They need not be there any more for the answer.

use daemon::live::Bench;
use tokio::task::{JoinError, spawn_blocking};
use tokio_util::sync::CancellationToken;

use crate::bootstrap::decide::Own;
use crate::ldb::{Error, Writer};
use crate::replay::Replay;
use crate::replay::need::Need;
use crate::replay::requests::{Answer, Looked, Origin, Request, Write};

/// May the loop begin with the first entry of the ledger, if the LDB has none?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beginning {
    /// Always: there is nothing else to begin with.
    Free,
    /// When the bootstrap says so, once.
    OnLeave,
    /// It said so.
    Granted,
}

impl Replay {
    /// Serves what waits.
    pub(super) async fn serve_all(
        &mut self,
        mut writer: Writer,
        stop: &CancellationToken,
    ) -> Result<Writer, JoinError> {
        while let Some(request) = self.request.take().or_else(|| self.asked.now()) {
            writer = self.serve(writer, request, stop).await?;
        }
        Ok(writer)
    }

    async fn serve(
        &mut self,
        mut writer: Writer,
        request: Request,
        stop: &CancellationToken,
    ) -> Result<Writer, JoinError> {
        match request {
            Request::Look { seqs, answer } => {
                let own = own(&writer);
                let ledger = tokio::select! {
                    biased;
                    () = stop.cancelled() => return Ok(writer),
                    ledger = self.upstream.survey(&seqs) => ledger,
                };
                drop(answer.send(Ok(Looked { own, ledger })));
            }
            Request::Begin { answer } => {
                if self.beginning == Beginning::OnLeave {
                    self.beginning = Beginning::Granted;
                }
                self.needs.set(Need::Nothing);
                drop(answer.send(Ok(())));
            }
            Request::Write(write) => {
                let (bench, needs) = (self.pulse.bench(), self.needs.clone());
                let work = move || {
                    let reply = do_write(&bench, &mut writer, write, || needs.set(Need::Nothing));
                    (writer, reply)
                };
                let reply;
                (writer, reply) = spawn_blocking(work).await?;
                self.told.position(&writer);
                self.told.serves(&writer);
                // Who gets it finds the status as it is now.
                reply();
            }
        }
        Ok(writer)
    }

    /// Has the LDB nothing, and may the loop not begin by itself? What it needs is told then.
    pub(super) fn waits_to_begin(&mut self, writer: &Writer) -> bool {
        if writer.standing().position.is_some() {
            if self.beginning == Beginning::Granted {
                self.beginning = Beginning::OnLeave;
            }
            return false;
        }
        let waits = self.beginning == Beginning::OnLeave;
        if waits {
            self.needs.set(if writer.is_bad() { Need::Damaged } else { Need::Begin });
            self.told.begins();
        }
        waits
    }
}

/// Tells the one who asked.
type Reply = Box<dyn FnOnce() + Send>;

fn do_write(bench: &Bench, writer: &mut Writer, write: Write, is_new: impl FnOnce()) -> Reply {
    let _work = bench.work("doing what a snapshot or a bootstrap needs of the file");
    let done = |outcome: Result<(), Error>, answer: Answer<()>| -> Reply {
        if outcome.is_ok() {
            is_new();
        }
        Box::new(move || drop(answer.send(outcome.map_err(Into::into))))
    };
    match write {
        Write::Freeze { budget, answer } => {
            let frozen = writer.freeze(budget);
            Box::new(move || drop(answer.send(frozen.map_err(Into::into))))
        }
        Write::Publish { draft, claim, answer } => done(writer.publish(draft, claim), answer),
        Write::Rebuild { from, answer } => {
            let rebuilt = match from {
                Origin::Nothing => writer.begin_rebuild(),
                Origin::Draft(draft) => writer.rebuild_from(draft, false),
                Origin::DraftOfOther(draft) => writer.rebuild_from(draft, true),
            };
            done(rebuilt, answer)
        }
    }
}

fn own(writer: &Writer) -> Own {
    match writer.position {
        _ if writer.is_bad() => Own::Unsound,
        Some(position) => Own::At(position),
        None => Own::Empty,
    }
}
