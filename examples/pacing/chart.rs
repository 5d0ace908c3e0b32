use std::path::Path;

use plotters::chart::{ChartBuilder, ChartContext};
use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::element::{Rectangle, Text};
use plotters::prelude::{
    Cartesian2d, Color, DrawingArea, IntoDrawingArea, IntoFont, IntoTextStyle, RGBColor,
    SVGBackend, TextStyle,
};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use tower::BoxError;

use crate::client::Client;
use crate::row::Row;
use crate::server::Server;

const WIDTH: i32 = 1_280;
const PANEL: i32 = 300;
const HEAD: i32 = 76;
const LINE: i32 = 18;

/// Where the panels' axes begin.
const LEFT: i32 = 80;

const INK: RGBColor = RGBColor(51, 51, 51);
const GRID: RGBColor = RGBColor(221, 221, 221);

/// Draws utilisation and refusals, a group of bars for each server, as an SVG.
///
/// # Errors
///
/// The file cannot be written.
pub(crate) fn draw(path: &Path, rows: &[Row]) -> Result<(), BoxError> {
    let servers: Vec<_> = Server::ALL
        .into_iter()
        .filter(|server| rows.iter().any(|row| row.server == server.name()))
        .collect();
    let foot = LINE * count(servers.len().div_ceil(2)) + 24;
    let root = SVGBackend::new(path, pixels(WIDTH, HEAD + 2 * PANEL + foot)).into_drawing_area();
    root.fill(&plotters::style::WHITE)?;

    let (head, rest) = root.split_vertically(HEAD);
    let (used, rest) = rest.split_vertically(PANEL);
    let (refused, foot) = rest.split_vertically(PANEL);
    legend(&head)?;
    panel(
        &used,
        "share of the quota used",
        &servers,
        |row| row.utilisation,
        rows,
    )?;
    panel(
        &refused,
        "share of requests refused",
        &servers,
        |row| row.refused,
        rows,
    )?;
    explain(&foot, &servers)?;
    root.present()?;
    Ok(())
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

fn legend(area: &Area<'_>) -> Result<(), BoxError> {
    let title = "One hour of virtual time, 50 workers who want all they can get";
    area.draw(&Text::new(title, (LEFT, 12), text(18.0)))?;
    let mut x = LEFT;
    for client in bars() {
        let y = 48;
        area.draw(&Rectangle::new(
            [(x, y), (x + 12, y + 12)],
            colour(client).filled(),
        ))?;
        area.draw(&Text::new(client.name(), (x + 18, y - 1), text(14.0)))?;
        x += 40 + 8 * count(client.name().len());
    }
    Ok(())
}

fn panel(
    area: &Area<'_>,
    title: &str,
    servers: &[Server],
    value: impl Fn(&Row) -> f64,
    rows: &[Row],
) -> Result<(), BoxError> {
    let groups = servers.len() as f64;
    let mut chart = ChartBuilder::on(area)
        .margin_left(16)
        .margin_right(16)
        .margin_top(8)
        .x_label_area_size(30)
        .y_label_area_size(64)
        .build_cartesian_2d(0.0..groups, 0.0..1.0)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .x_labels(0)
        .y_labels(6)
        .y_desc(title)
        .y_label_formatter(&|share| format!("{:.0} %", 100.0 * share))
        .light_line_style(plotters::style::TRANSPARENT)
        .bold_line_style(GRID)
        .axis_style(INK)
        .label_style(text(13.0))
        .draw()?;

    let width = 0.82 / bars().count() as f64;
    for (group, server) in servers.iter().enumerate() {
        for (bar, client) in bars().enumerate() {
            let of = |row: &&Row| row.server == server.name() && row.client == client.name();
            let Some(row) = rows.iter().find(of) else {
                continue;
            };
            let left = group as f64 + 0.09 + bar as f64 * width;
            let corners = [(left, 0.0), (left + 0.88 * width, value(row).min(1.0))];
            chart.draw_series([Rectangle::new(corners, colour(client).filled())])?;
        }
        name(area, &chart, group, server.name())?;
    }
    Ok(())
}

/// Writes a server's name under its group.
fn name<'a>(
    area: &Area<'a>,
    chart: &ChartContext<'a, SVGBackend<'a>, Cartesian2d<RangedCoordf64, RangedCoordf64>>,
    group: usize,
    name: &str,
) -> Result<(), BoxError> {
    let (x, y) = chart.backend_coord(&(group as f64 + 0.5, 0.0));
    let (left, top) = area.get_base_pixel();
    let style = text(13.0).pos(Pos::new(HPos::Center, VPos::Top));
    area.draw(&Text::new(name.to_owned(), (x - left, y - top + 8), style))?;
    Ok(())
}

fn explain(area: &Area<'_>, servers: &[Server]) -> Result<(), BoxError> {
    let rows = servers.len().div_ceil(2);
    for (index, server) in servers.iter().enumerate() {
        let x = LEFT + count(index / rows) * (WIDTH / 2 - 40);
        let y = LINE * count(index % rows) + 4;
        let words = format!("{}: {}", server.name(), server.about());
        area.draw(&Text::new(words, (x, y), text(13.0)))?;
    }
    Ok(())
}

fn bars() -> impl Iterator<Item = Client> {
    let bars = Client::ALL.into_iter();
    bars.filter(|client| !client.has_fixed_guard())
}

/// Okabe and Ito's colours, which the colour-blind tell apart; ours are the two blues.
fn colour(client: Client) -> RGBColor {
    match client {
        Client::Naive => RGBColor(153, 153, 153),
        Client::Interval => RGBColor(240, 200, 66),
        Client::Governor => RGBColor(230, 159, 0),
        Client::Tower => RGBColor(213, 94, 0),
        Client::Resilience => RGBColor(204, 121, 167),
        Client::Own => RGBColor(0, 114, 178),
        _ => RGBColor(86, 180, 233),
    }
}

fn text(size: f64) -> TextStyle<'static> {
    ("sans-serif", size)
        .into_font()
        .color(&INK)
        .into_text_style(&pixels(WIDTH, PANEL))
}

fn count(things: usize) -> i32 {
    i32::try_from(things).unwrap_or(i32::MAX)
}

fn pixels(width: i32, height: i32) -> (u32, u32) {
    (width.unsigned_abs(), height.unsigned_abs())
}
