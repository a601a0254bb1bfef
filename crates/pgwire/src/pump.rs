//! Rows from the engine to the wire, with back-pressure.
//!
//! A pump is a task on the CPU runtime that owns one result. It computes and encodes only what has been asked for,
//! hands over chunks of ready-made messages, and never has more than a few of them waiting. When its handle is
//! dropped, the result is dropped with it, and so is the work.

use std::panic::AssertUnwindSafe;

use arrow::array::RecordBatch;
use datafusion::execution::SendableRecordBatchStream;
use futures::{FutureExt, StreamExt};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::charset::{self, Charset};
use crate::copy::out::CopyOut;
use crate::rows::{Form, Layout, Rows};
use crate::sqlstate::Failure;
use crate::statement::ColumnInfo;

/// A chunk is sent when it has grown to this.
const CHUNK: usize = 128 << 10;

/// Chunks that may wait for the client.
const WAITING: usize = 2;

/// The handle of one result; dropping it ends the work.
pub struct Pump {
    requests: mpsc::Sender<Request>,
    answers: mpsc::Receiver<Answer>,
}

struct Request {
    limit: u64,
    encoding: Encoding,
}

/// What becomes of a row.
pub enum Encoding {
    /// A DataRow message, its columns in these forms.
    Rows(Vec<Form>),
    /// A CopyData message.
    Copy(CopyOut),
    /// Nothing: MOVE.
    Skip,
}

pub enum Answer {
    /// Whole messages.
    Messages(Vec<u8>),
    /// So many rows were sent for the request, and whether they were the last.
    Done {
        rows: u64,
        exhausted: bool,
    },
    Failed(Failure),
}

impl Pump {
    pub fn start(cpu: &Handle, stream: SendableRecordBatchStream, layout: Layout) -> Self {
        let (requests, to_do) = mpsc::channel(1);
        let (done, answers) = mpsc::channel(WAITING);
        let failed = done.clone();
        let work = Work {
            stream,
            layout,
            current: None,
            requests: to_do,
            answers: done,
        };
        cpu.spawn(async move {
            if let Err(panic) = AssertUnwindSafe(work.run()).catch_unwind().await {
                let failure = Failure::internal(format!("internal error: {}", panic_text(&*panic)));
                let _ = failed.send(Answer::Failed(failure)).await;
            }
        });
        Self { requests, answers }
    }

    /// Asks for the next `limit` rows; the answers end with `Done` or `Failed`.
    pub async fn request(&self, limit: u64, encoding: Encoding) {
        // A pump that has ended says so in its answers.
        let _ = self.requests.send(Request { limit, encoding }).await;
    }

    pub async fn answer(&mut self) -> Answer {
        match self.answers.recv().await {
            Some(answer) => answer,
            None => Answer::Failed(Failure::internal(
                "internal error: the query's task has ended",
            )),
        }
    }
}

/// What a panic said.
pub fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without words")
}

struct Work {
    stream: SendableRecordBatchStream,
    layout: Layout,
    /// A batch that the last request did not finish, and its first row that is still to be sent.
    current: Option<(RecordBatch, usize)>,
    requests: mpsc::Receiver<Request>,
    answers: mpsc::Sender<Answer>,
}

/// The handle was dropped: nobody wants more.
struct Unwanted;

impl Work {
    async fn run(mut self) {
        while let Some(request) = self.requests.recv().await {
            let answer = match self.serve(request).await {
                Ok(Ok((rows, exhausted))) => Answer::Done { rows, exhausted },
                Ok(Err(failure)) => Answer::Failed(failure),
                Err(Unwanted) => return,
            };
            let is_last = matches!(
                answer,
                Answer::Failed(_)
                    | Answer::Done {
                        exhausted: true,
                        ..
                    }
            );
            if self.answers.send(answer).await.is_err() || is_last {
                return;
            }
        }
    }

    async fn serve(
        &mut self,
        mut request: Request,
    ) -> Result<Result<(u64, bool), Failure>, Unwanted> {
        let mut out = Vec::with_capacity(4096);
        if let Encoding::Rows(forms) = &request.encoding {
            self.layout.forms.clone_from(forms);
        }
        let mut is_text = Vec::new();
        if matches!(request.encoding, Encoding::Rows(_)) && self.layout.charset != Charset::Utf8 {
            let columns: Vec<ColumnInfo> = self.layout.columns.iter().map(Into::into).collect();
            match charset::text_columns(&columns, &self.layout.forms) {
                Ok(columns) => is_text = columns,
                Err(failure) => return Ok(Err(failure)),
            }
        }
        if let Encoding::Copy(copy) = &mut request.encoding
            && let Err(failure) = copy.put_start(&self.layout.columns, &mut out)
        {
            return Ok(Err(failure));
        }
        let mut sent = 0;
        let exhausted = loop {
            if sent == request.limit {
                break false;
            }
            let (batch, first) = match self.current.take() {
                Some(current) => current,
                None => match self.next_batch(&mut out).await? {
                    Some(Ok(batch)) => (batch, 0),
                    Some(Err(error)) => return Ok(Err(error)),
                    None => break true,
                },
            };
            let wanted = usize::try_from(request.limit - sent).unwrap_or(usize::MAX);
            let end = batch.num_rows().min(first.saturating_add(wanted));
            let rows = match Rows::new(&batch, &self.layout) {
                Ok(rows) => rows,
                Err(error) => return Ok(Err(error.into())),
            };
            for row in first..end {
                let put = match &mut request.encoding {
                    Encoding::Rows(_) if self.layout.charset == Charset::Utf8 => {
                        rows.put_data_row(row, &mut out);
                        Ok(())
                    }
                    Encoding::Rows(_) => {
                        rows.put_data_row_in(self.layout.charset, &is_text, row, &mut out)
                    }
                    Encoding::Copy(copy) => copy.put_row(&rows, row, &mut out),
                    Encoding::Skip => Ok(()),
                };
                if let Err(failure) = put {
                    return Ok(Err(failure));
                }
                if out.len() >= CHUNK {
                    self.send(&mut out).await?;
                }
            }
            sent += (end - first) as u64;
            if end < batch.num_rows() {
                self.current = Some((batch, end));
            }
        };
        if let Encoding::Copy(copy) = &mut request.encoding {
            copy.put_end(&mut out);
        }
        self.send(&mut out).await?;
        Ok(Ok((sent, exhausted)))
    }

    /// What has been encoded is sent before a wait: a slow query shows its first rows early.
    async fn next_batch(
        &mut self,
        out: &mut Vec<u8>,
    ) -> Result<Option<Result<RecordBatch, Failure>>, Unwanted> {
        let ready = futures::poll!(self.stream.next());
        let next = match ready {
            std::task::Poll::Ready(next) => next,
            std::task::Poll::Pending => {
                self.send(out).await?;
                tokio::select! {
                    biased;
                    () = self.answers.closed() => return Err(Unwanted),
                    next = self.stream.next() => next,
                }
            }
        };
        Ok(next.map(|batch| batch.map_err(Failure::from)))
    }

    async fn send(&mut self, out: &mut Vec<u8>) -> Result<(), Unwanted> {
        if out.is_empty() {
            return Ok(());
        }
        let full = out.len() >= CHUNK;
        let next = Vec::with_capacity(if full { CHUNK + CHUNK / 8 } else { 0 });
        let messages = std::mem::replace(out, next);
        self.answers
            .send(Answer::Messages(messages))
            .await
            .map_err(|_| Unwanted)
    }
}
