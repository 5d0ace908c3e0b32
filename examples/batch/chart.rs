use anyhow::Result;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::FontTransform;

use crate::compare::Trial;
use crate::film::Frame;

const SIZE: (u32, u32) = (1200, 720);
const COLUMNS: usize = 3;
const FONT: &str = "Helvetica, Arial, sans-serif";
/// Steps along the time axis of a panel, which is fewer pixels wide.
const STEPS: f64 = 400.0;
const INK: RGBColor = RGBColor(38, 50, 56);
const FAINT: RGBColor = RGBColor(176, 190, 197);
const ANSWERED: RGBColor = RGBColor(46, 125, 50);
const REFUSED: RGBColor = RGBColor(198, 40, 40);

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// The scale all panels share.
struct Scale {
    seconds: f64,
    requests: f64,
    refused: f64,
}

/// Draws what each strategy was answered, upwards, and was refused, downwards, over time. SVG.
///
/// # Errors
///
/// Fails if a panel has no room for its axes, which would be a defect of this file.
pub(crate) fn draw(trials: &[Trial]) -> Result<String> {
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        root.fill(&WHITE)?;
        let (head, body) = root.split_vertically(64);
        title(&head, trials)?;
        let scale = Scale::of(trials);
        let panels = body.split_evenly((trials.len().div_ceil(COLUMNS), COLUMNS));
        for (panel, trial) in panels.iter().zip(trials) {
            draw_panel(&panel.margin(6, 10, 12, 16), trial, &scale)?;
        }
        root.present()?;
    }
    Ok(svg)
}

fn title(head: &Area<'_>, trials: &[Trial]) -> Result<()> {
    let requests = trials.first().map_or(0, |trial| trial.report.requests);
    let text = format!("The same {requests} prompts, a fresh simulator of Model Studio each");
    head.draw_text(&text, &font(22, INK), (20, 14))?;
    let legend = [("answered", ANSWERED), ("refused (429)", REFUSED)];
    for (x, (text, colour)) in [20, 116].into_iter().zip(legend) {
        head.draw(&Rectangle::new([(x, 45), (x + 12, 57)], colour.filled()))?;
        head.draw_text(text, &font(14, INK), (x + 18, 44))?;
    }
    Ok(())
}

fn draw_panel(panel: &Area<'_>, trial: &Trial, scale: &Scale) -> Result<()> {
    let report = &trial.report;
    let name = report.strategy.unwrap_or_default();
    let (head, body) = panel.split_vertically(44);
    let bold = (FONT, 17, FontStyle::Bold).into_font().color(&INK);
    head.draw_text(name, &bold, (44, 2))?;
    let summary = format!(
        "{} of {} answered in {:.1} s, {} refusals",
        report.completed, report.requests, report.elapsed_s, report.refused_429
    );
    let colour = if report.lost == 0 { ANSWERED } else { REFUSED };
    head.draw_text(&summary, &font(13, colour), (44, 23))?;

    let height = body.get_pixel_range().1.len();
    let (up, down) = body.split_vertically(u32::try_from(height * 3 / 5)?);
    let label = font(12, INK);

    let mut chart = ChartBuilder::on(&up)
        .set_label_area_size(LabelAreaPosition::Left, 44)
        .build_cartesian_2d(0.0..scale.seconds, 0.0..scale.requests * 1.08)?;
    chart
        .configure_mesh()
        .disable_mesh()
        .disable_x_axis()
        .y_labels(3)
        .y_label_formatter(&whole)
        .axis_style(FAINT)
        .label_style(label.clone())
        .draw()?;
    let all = [(0.0, scale.requests), (scale.seconds, scale.requests)];
    chart.draw_series(DashedLineSeries::new(all, 4, 4, FAINT.into()))?;
    let answered = steps(&trial.frames, false, scale.seconds);
    chart.draw_series(
        AreaSeries::new(answered, 0.0, ANSWERED.mix(0.25)).border_style(ANSWERED.stroke_width(2)),
    )?;

    let mut chart = ChartBuilder::on(&down)
        .set_label_area_size(LabelAreaPosition::Left, 44)
        .set_label_area_size(LabelAreaPosition::Bottom, 24)
        .build_cartesian_2d(0.0..scale.seconds, scale.refused * 1.08..0.0)?;
    chart
        .configure_mesh()
        .disable_mesh()
        .x_labels(6)
        .x_label_formatter(&|seconds| format!("{seconds:.0} s"))
        .y_labels(3)
        // The panel above shows the 0 of both.
        .y_label_formatter(&|number| {
            if *number > 0.0 {
                whole(number)
            } else {
                String::new()
            }
        })
        .axis_style(FAINT)
        .label_style(label)
        .draw()?;
    let refused = steps(&trial.frames, true, scale.seconds);
    chart.draw_series(
        AreaSeries::new(refused, 0.0, REFUSED.mix(0.25)).border_style(REFUSED.stroke_width(2)),
    )?;
    Ok(())
}

fn font(size: u32, colour: RGBColor) -> TextStyle<'static> {
    (FONT, size)
        .into_font()
        .transform(FontTransform::None)
        .color(&colour)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "plotters asks for it")]
fn whole(number: &f64) -> String {
    format!("{number:.0}")
}

impl Scale {
    #[expect(clippy::cast_precision_loss, reason = "pixels are coarser")]
    fn of(trials: &[Trial]) -> Self {
        let most = |of: fn(&Trial) -> f64| trials.iter().map(of).fold(1.0, f64::max);
        Self {
            seconds: most(|trial| trial.report.elapsed_s) * 1.04,
            requests: most(|trial| trial.report.requests as f64),
            refused: most(|trial| trial.frames.iter().filter(|frame| frame.refused).count() as f64),
        }
    }
}

/// How many answers of a kind had come by when, in steps no finer than can be seen.
fn steps(frames: &[Frame], refused: bool, until: f64) -> Vec<(f64, f64)> {
    let mut steps = vec![(0.0, 0.0)];
    let mut count = 0.0;
    let times = frames.iter().filter(|frame| frame.refused == refused);
    for at in times.map(|frame| frame.at.as_secs_f64()) {
        let at = (at * STEPS / until).floor() * until / STEPS;
        match steps.last_mut() {
            Some(last) if last.0 >= at && count > 0.0 => last.1 += 1.0,
            _ => steps.extend([(at, count), (at, count + 1.0)]),
        }
        count += 1.0;
    }
    steps.push((until, count));
    steps
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_count_rises_in_steps_and_stays() {
        let frame = |millis, refused| Frame {
            at: Duration::from_millis(millis),
            refused,
        };
        let frames = [frame(500, false), frame(600, true), frame(1500, false)];
        let expected = [
            (0.0, 0.0),
            (0.5, 0.0),
            (0.5, 1.0),
            (1.5, 1.0),
            (1.5, 2.0),
            (4.0, 2.0),
        ];
        assert_eq!(steps(&frames, false, 4.0), expected);
    }
}
