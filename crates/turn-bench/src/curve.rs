//! The curve as SVG: pauses cut over the mean latency, legible on light and dark pages.

use super::score::CurvePoint;
use super::summary::Summary;
use std::fmt::Write as _;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 420.0;
const LEFT: f64 = 58.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 44.0;
const BOTTOM: f64 = 48.0;
/// The latency at the right end.
const LATENCY_MS: f64 = 1_600.0;
const STYLE: &str = "text{font:12px system-ui,sans-serif;fill:#222}.title{font-weight:600;font-size:14px}\
.grid{stroke:#8884;stroke-width:1}.policy{stroke:#0a6cd6;fill:none;stroke-width:2.5}\
.silence{stroke:#b4451f;fill:none;stroke-width:2}.heard{stroke:#7a6a00;fill:none;stroke-width:1.5;stroke-dasharray:5 4}\
.dot{fill:#0a6cd6;opacity:.35}.own{fill:#0a6cd6;stroke:#fff;stroke-width:1.5}\
@media (prefers-color-scheme:dark){text{fill:#ddd}.policy{stroke:#6ab2ff}.silence{stroke:#ff9468}.heard{stroke:#d9c74a}\
.dot{fill:#6ab2ff}.own{fill:#6ab2ff;stroke:#111}}";

fn x(mean_ms: f64) -> f64 {
    LEFT + (mean_ms / LATENCY_MS).clamp(0.0, 1.0) * (WIDTH - LEFT - RIGHT)
}

fn y(cut: f64) -> f64 {
    HEIGHT - BOTTOM - cut.clamp(0.0, 1.0) * (HEIGHT - TOP - BOTTOM)
}

/// Draws the curves of a summary.
pub fn svg(summary: &Summary) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" \
         aria-label=\"Pauses cut over mean latency\"><style>{STYLE}</style>"
    );
    grid(&mut out);
    let curves = &summary.curves;
    for point in curves.settings.iter().filter(|point| point.mean_ms <= LATENCY_MS) {
        let _ =
            writeln!(out, "<circle class=\"dot\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"2\"/>", x(point.mean_ms), y(point.cut));
    }
    line(&mut out, "heard", &curves.detected);
    line(&mut out, "silence", &curves.silence);
    line(&mut out, "policy", &curves.policy);
    for (point, name) in curves.settings.iter().zip(&summary.settings) {
        if let Some(preset) = name.strip_prefix("preset ") {
            mark(&mut out, point, preset);
        }
    }
    if let Some(own) = curves.settings.first().filter(|_| !has_presets(summary)) {
        mark(&mut out, own, "");
    }
    legend(&mut out, if has_presets(summary) { "presets" } else { "as configured" });
    out.push_str("</svg>\n");
    out
}

fn has_presets(summary: &Summary) -> bool {
    summary.settings.iter().any(|name| name.starts_with("preset "))
}

/// A setting that is pointed out, with its name.
fn mark(out: &mut String, point: &CurvePoint, name: &str) {
    let (at, height) = (x(point.mean_ms), y(point.cut));
    let _ = writeln!(out, "<circle class=\"own\" cx=\"{at:.1}\" cy=\"{height:.1}\" r=\"5\"/>");
    if !name.is_empty() {
        let _ = writeln!(out, "<text x=\"{:.1}\" y=\"{:.1}\">{name}</text>", at + 4.0, height - 9.0);
    }
}

fn grid(out: &mut String) {
    for tenth in 0..=5 {
        let cut = f64::from(tenth) / 5.0;
        let (at, label) = (y(cut), tenth * 20);
        let _ = writeln!(out, "<path class=\"grid\" d=\"M{LEFT} {at:.1}H{:.1}\"/>", WIDTH - RIGHT);
        let _ =
            writeln!(out, "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{label} %</text>", LEFT - 8.0, at + 4.0);
    }
    for step in 0..=8 {
        let ms = f64::from(step) * 200.0;
        let at = x(ms);
        let _ = writeln!(out, "<path class=\"grid\" d=\"M{at:.1} {TOP}V{:.1}\"/>", HEIGHT - BOTTOM);
        let _ = writeln!(
            out,
            "<text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{ms:.0}</text>",
            HEIGHT - BOTTOM + 18.0
        );
    }
    let middle = LEFT + (WIDTH - LEFT - RIGHT) / 2.0;
    let _ = writeln!(
        out,
        "<text x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\">mean latency of true ends, ms</text>",
        HEIGHT - 10.0
    );
    let _ = writeln!(out, "<text class=\"title\" x=\"{LEFT}\" y=\"20\">Pauses inside of turns that are cut off</text>");
}

fn line(out: &mut String, class: &str, points: &[CurvePoint]) {
    let mut sorted: Vec<&CurvePoint> = points.iter().filter(|point| point.mean_ms <= LATENCY_MS).collect();
    sorted.sort_by(|one, other| one.mean_ms.total_cmp(&other.mean_ms));
    let path: Vec<String> = sorted.iter().map(|point| format!("{:.1} {:.1}", x(point.mean_ms), y(point.cut))).collect();
    if !path.is_empty() {
        let _ = writeln!(out, "<path class=\"{class}\" d=\"M{}\"/>", path.join("L"));
    }
}

fn legend(out: &mut String, marked: &str) {
    let entries = [("policy", "policy, swept"), ("silence", "silence alone"), ("heard", "silence alone, as detected")];
    for (index, (class, name)) in entries.into_iter().enumerate() {
        let left = WIDTH - 230.0;
        let at = TOP + 16.0 + 18.0 * index as f64;
        let _ = writeln!(out, "<path class=\"{class}\" d=\"M{left} {at:.1}h28\"/>");
        let _ = writeln!(out, "<text x=\"{:.1}\" y=\"{:.1}\">{name}</text>", left + 36.0, at + 4.0);
    }
    let (left, at) = (WIDTH - 230.0, TOP + 70.0);
    let _ = writeln!(out, "<circle class=\"own\" cx=\"{:.1}\" cy=\"{at:.1}\" r=\"5\"/>", left + 14.0);
    let _ = writeln!(out, "<text x=\"{:.1}\" y=\"{:.1}\">{marked}</text>", left + 36.0, at + 4.0);
}
