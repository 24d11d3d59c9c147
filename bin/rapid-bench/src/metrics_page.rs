//! A node's Prometheus page: what the node measures of itself.

use crate::measure::Percentiles;
use eyre::{OptionExt, WrapErr, ensure};
use std::collections::BTreeMap;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// One scrape: sample values by series, that is by name with labels.
#[derive(Clone, Debug, Default)]
pub(crate) struct MetricsPage {
    samples: BTreeMap<String, f64>,
}

impl MetricsPage {
    /// Scrapes `127.0.0.1:port`.
    ///
    /// # Errors
    /// If nobody serves metrics there.
    pub(crate) async fn scrape(port: u16) -> eyre::Result<Self> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))
            .await
            .wrap_err("metrics endpoint")?;
        stream
            .write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        let (head, body) = answer
            .split_once("\r\n\r\n")
            .ok_or_eyre("metrics endpoint speaks no HTTP")?;
        ensure!(
            head.contains(" 200 "),
            "metrics endpoint: {}",
            head.lines().next().unwrap_or_default()
        );
        Ok(Self::parse(body))
    }

    /// Reads the text exposition format; lines that are no samples are left out.
    pub(crate) fn parse(text: &str) -> Self {
        let samples = text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| {
                let (series, value) = line.rsplit_once(' ')?;
                Some((series.to_owned(), value.parse().ok()?))
            })
            .collect();
        Self { samples }
    }

    /// The value of one series, or zero if the node has not recorded it.
    pub(crate) fn value(&self, series: &str) -> f64 {
        self.samples.get(series).copied().unwrap_or(0.0)
    }

    /// All series of `name` with their labels.
    pub(crate) fn labelled(&self, name: &str) -> impl Iterator<Item = (&str, f64)> {
        self.samples.iter().filter_map(move |(series, value)| {
            let labels = series.strip_prefix(name)?.strip_prefix('{')?.strip_suffix('}')?;
            Some((labels, *value))
        })
    }

    /// The quantiles of a summary in seconds, as percentiles.
    pub(crate) fn summary(&self, name: &str) -> Percentiles {
        let quantile = |quantile: &str| self.value(&format!("{name}{{quantile=\"{quantile}\"}}")) * 1e3;
        Percentiles {
            count: self.value(&format!("{name}_count")) as usize,
            p50_ms: quantile("0.5"),
            p99_ms: quantile("0.99"),
            p999_ms: quantile("0.999"),
            max_ms: quantile("1"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# TYPE late_seconds summary\n\
        late_seconds{quantile=\"0\"} 0.0001\n\
        late_seconds{quantile=\"0.5\"} 0.001\n\
        late_seconds{quantile=\"0.99\"} 0.004\n\
        late_seconds{quantile=\"0.999\"} 0.005\n\
        late_seconds{quantile=\"1\"} 0.0075\n\
        late_seconds_sum 1.5\n\
        late_seconds_count 900\n\
        cuts_total{reason=\"deadline\"} 800\n\
        cuts_total{reason=\"early\"} 7\n\
        missed_total 3\n";

    #[test]
    fn summaries_become_percentiles() {
        let page = MetricsPage::parse(PAGE);
        let expected = Percentiles {
            count: 900,
            p50_ms: 1.0,
            p99_ms: 4.0,
            p999_ms: 5.0,
            max_ms: 7.5,
        };
        assert_eq!(page.summary("late_seconds"), expected);
        assert_eq!(page.summary("absent_seconds"), Percentiles::default());
    }

    #[test]
    fn counters_with_and_without_labels() {
        let page = MetricsPage::parse(PAGE);
        assert_eq!(page.value("missed_total"), 3.0);
        let cuts: Vec<_> = page.labelled("cuts_total").collect();
        assert_eq!(cuts, [("reason=\"deadline\"", 800.0), ("reason=\"early\"", 7.0)]);
    }
}
