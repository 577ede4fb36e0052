use warmfork_abi::signals::SIGINT;
use warmfork_abi::termios::{ECHO, ICANON, ICRNL, IUTF8, VMIN, VTIME, XTABS};

use super::discipline::Discipline;
use super::settings::Settings;

fn typed(discipline: &mut Discipline, text: &str) -> Vec<u32> {
    text.bytes().filter_map(|byte| discipline.type_character(byte)).collect()
}

fn screen(discipline: &mut Discipline) -> String {
    let mut bytes = [0; 256];
    let count = discipline.shown(&mut bytes);
    String::from_utf8_lossy(&bytes[..count]).into_owned()
}

fn read(discipline: &mut Discipline) -> Option<String> {
    let mut bytes = [0; 256];
    let count = discipline.read(&mut bytes, true)?;
    Some(String::from_utf8_lossy(&bytes[..count]).into_owned())
}

#[test]
fn a_line_is_edited_echoed_and_read_when_it_has_ended() {
    let mut terminal = Discipline::default();
    typed(&mut terminal, "helo\x7flo");
    assert_eq!(read(&mut terminal), None);
    assert_eq!(screen(&mut terminal), "helo\x08 \x08lo");
    typed(&mut terminal, "\rnext");
    assert_eq!(read(&mut terminal), Some("hello\n".into()));
    assert_eq!(screen(&mut terminal), "\r\nnext");
    typed(&mut terminal, "\x04\x04");
    assert_eq!([read(&mut terminal), read(&mut terminal)], [Some("next".into()), Some(String::new())]);
    assert_eq!(read(&mut terminal), None);
}

#[test]
fn words_and_lines_are_erased() {
    let mut terminal = Discipline::default();
    typed(&mut terminal, "one two  \x17");
    screen(&mut terminal);
    typed(&mut terminal, "2\n");
    assert_eq!(read(&mut terminal), Some("one 2\n".into()));
    screen(&mut terminal);
    typed(&mut terminal, "a\tb\x15c\n");
    assert_eq!(screen(&mut terminal), "a\tb\x08 \x08\x08\x08\x08\x08\x08\x08\x08\x08 \x08c\r\n");
    assert_eq!(read(&mut terminal), Some("c\n".into()));
}

#[test]
fn control_characters_are_shown_and_signal() {
    let mut terminal = Discipline::default();
    assert_eq!(typed(&mut terminal, "lost\x03kept\x16\x03\n"), [SIGINT]);
    assert_eq!(screen(&mut terminal), "^Ckept^\x08^C\r\n");
    assert_eq!(read(&mut terminal), Some("kept\x03\n".into()));
}

#[test]
fn a_character_of_several_bytes_is_erased_whole() {
    let mut terminal = Discipline::default();
    terminal.set(Settings { input: ICRNL | IUTF8, ..Settings::default() });
    typed(&mut terminal, "x\u{e9}\x7f\n");
    assert_eq!(read(&mut terminal), Some("x\n".into()));
    typed(&mut terminal, "\u{e9}\x7f\x7f\n");
    assert_eq!(read(&mut terminal), Some("\n".into()));
}

#[test]
fn without_canonical_mode_bytes_come_as_min_and_time_say() {
    let mut terminal = Discipline::default();
    typed(&mut terminal, "line\npart");
    let mut raw = Settings { local: 0, ..Settings::default() };
    terminal.set(raw);
    assert_eq!(read(&mut terminal), Some("line\npart".into()));
    raw.codes[VMIN] = 3;
    terminal.set(raw);
    typed(&mut terminal, "ab");
    assert_eq!((read(&mut terminal), terminal.readable()), (None, false));
    typed(&mut terminal, "c");
    assert_eq!(read(&mut terminal), Some("abc".into()));
    raw.codes[VMIN] = 0;
    terminal.set(raw);
    assert_eq!((read(&mut terminal), terminal.patience()), (Some(String::new()), Some(0)));
    raw.codes[VTIME] = 2;
    terminal.set(raw);
    assert_eq!((read(&mut terminal), terminal.patience()), (None, Some(200_000_000)));
    typed(&mut terminal, "rest");
    raw.local = ICANON | ECHO;
    terminal.set(raw);
    assert_eq!(read(&mut terminal), Some("rest".into()));
}

#[test]
fn a_line_without_an_end_is_bounded_and_its_end_gets_in() {
    let mut terminal = Discipline::default();
    typed(&mut terminal, &"x".repeat(10_000));
    assert!(terminal.takes_input());
    typed(&mut terminal, "\n");
    assert!(!terminal.takes_input());
    assert_eq!(terminal.available(), 4096);
    terminal.flush_input();
    let ends = (0..10_000).take_while(|_| terminal.takes_input() && terminal.type_character(4).is_none());
    assert!(ends.count() < 5000, "ends of file count too");
}

#[test]
fn output_stops_and_fills_up() {
    let mut terminal = Discipline::default();
    typed(&mut terminal, "\x13");
    assert_eq!(terminal.write(b"stopped"), 0);
    typed(&mut terminal, "\x11");
    assert_eq!(terminal.write(b"a\n"), 2);
    assert_eq!(screen(&mut terminal), "a\r\n");
    let written = terminal.write(&[b'x'; 100_000]);
    assert!((30_000..40_000).contains(&written) && !terminal.takes_output());
}

#[test]
fn tabs_become_spaces() {
    let mut terminal = Discipline::default();
    terminal.set(Settings { output: 1 | XTABS, ..Settings::default() });
    assert_eq!(terminal.write(b"ab\tc"), 4);
    assert_eq!(screen(&mut terminal), "ab      c");
}
