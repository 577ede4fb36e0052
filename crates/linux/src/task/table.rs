//! The threads of a process, and the sets of those that may run, sleep or wait for a futex: a switch between two threads looks
//! at no others.

use std::collections::{BTreeMap, BTreeSet};

use super::{FutexKey, Queued, State, Task};
use crate::assign::{assign_entries, assign_members};
use crate::ids::Tid;
use crate::news::News;
use crate::wait::Wait;

/// All threads of a process. They change a thread's state, so that the sets follow it.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Tasks {
    tasks: BTreeMap<Tid, Task>,
    sets: Sets,
    /// The thread that runs, or that ran last. While its process runs, the platform has its registers and FPU state.
    pub current: Tid,
    /// A signal has stopped the process: none of them may run.
    pub stopped: bool,
    /// The threads that have begun to wait for descriptions since the last [`crate::Kernel::wake`].
    pub(crate) news: News<Tid>,
}

/// The threads by their states; each follows from the threads themselves.
#[derive(Clone, PartialEq, Debug, Default)]
struct Sets {
    /// They are not blocked.
    runnable: BTreeSet<Tid>,
    /// They are blocked until a deadline, at most.
    sleepers: BTreeSet<(u64, Tid)>,
    /// They wait for a futex, in the order in which they came.
    futexes: BTreeSet<(FutexKey, u64, Tid)>,
}

impl Sets {
    fn assign(&mut self, from: &Self) {
        let Self { runnable, sleepers, futexes } = self;
        assign_members(runnable, &from.runnable);
        assign_members(sleepers, &from.sleepers);
        assign_members(futexes, &from.futexes);
    }

    fn add(&mut self, task: &Task) {
        if task.is_runnable() {
            self.runnable.insert(task.tid);
        }
        self.sleepers.extend(task.deadline());
        self.futexes.extend(task.futex_place());
    }

    fn remove(&mut self, task: &Task) {
        self.runnable.remove(&task.tid);
        if let Some(place) = task.deadline() {
            self.sleepers.remove(&place);
        }
        if let Some(place) = task.futex_place() {
            self.futexes.remove(&place);
        }
    }
}

impl Tasks {
    /// Assigns `from` to these threads.
    pub fn assign(&mut self, from: &Self) {
        let Self { tasks, sets, current, stopped, news: _ } = self;
        assign_entries(tasks, &from.tasks);
        sets.assign(&from.sets);
        (*current, *stopped) = (from.current, from.stopped);
    }

    /// Adds a thread.
    pub fn insert(&mut self, task: Task) {
        self.sets.add(&task);
        self.tasks.insert(task.tid, task);
    }

    /// Removes and returns a thread.
    pub fn remove(&mut self, tid: Tid) -> Option<Task> {
        let gone = self.tasks.remove(&tid)?;
        self.sets.remove(&gone);
        Some(gone)
    }

    /// Changes thread `tid`, if it lives, together with the sets that it is in.
    fn change<T>(&mut self, tid: Tid, change: impl FnOnce(&mut Task) -> T) -> Option<T> {
        let task = self.tasks.get_mut(&tid)?;
        self.sets.remove(task);
        let result = change(task);
        self.sets.add(task);
        Some(result)
    }

    /// Thread `tid` makes a call, or makes the one again that it waited in: its wait then.
    pub(crate) fn begin_call(&mut self, tid: Tid) -> Option<Wait> {
        if matches!(self.get(tid).state, State::Ready) {
            return None;
        }
        match self.change(tid, |task| std::mem::replace(&mut task.state, State::Ready)) {
            Some(State::Retry(wait)) => Some(wait),
            Some(State::Ready | State::Blocked(_)) | None => None,
        }
    }

    /// Thread `tid` waits in its call.
    pub(crate) fn block(&mut self, tid: Tid, wait: Wait) {
        if !wait.descriptions.is_empty() {
            self.news.add(tid);
        }
        self.change(tid, |task| task.state = State::Blocked(wait));
    }

    /// The call of thread `tid`, which had `wait`, runs again.
    pub(crate) fn retry(&mut self, tid: Tid, wait: Wait) {
        self.change(tid, |task| task.state = State::Retry(wait));
    }

    /// Ends the wait of thread `tid`, if it waits: its call runs again.
    pub fn wake(&mut self, tid: Tid) {
        if self.tasks.get(&tid).is_some_and(|task| !task.is_runnable()) {
            self.change(tid, |task| {
                if let State::Blocked(wait) = &mut task.state {
                    task.state = State::Retry(std::mem::take(wait));
                }
            });
        }
    }

    /// As [`Tasks::wake`], for all those that wait as `ended` says.
    pub(crate) fn wake_where(&mut self, ended: impl Fn(&Task, &Wait) -> bool) {
        let over = self.blocked().filter(|(tid, wait)| ended(self.get(*tid), wait));
        let over: Vec<Tid> = over.map(|(tid, _)| tid).collect();
        over.into_iter().for_each(|tid| self.wake(tid));
    }

    /// As [`Tasks::wake`], for all whose deadline has come at `now`.
    pub(crate) fn wake_sleepers(&mut self, now: u64) {
        while let Some(&(_, tid)) = self.sets.sleepers.first().filter(|(at, _)| *at <= now) {
            self.wake(tid);
        }
    }

    /// The wait of thread `tid`, if it is blocked. Give it back with [`Tasks::return_wait`] before anything else happens to it.
    pub(crate) fn take_wait(&mut self, tid: Tid) -> Option<Wait> {
        match &mut self.tasks.get_mut(&tid)?.state {
            State::Blocked(wait) => Some(std::mem::take(wait)),
            State::Ready | State::Retry(_) => None,
        }
    }

    /// Gives back the wait that [`Tasks::take_wait`] took.
    pub(crate) fn return_wait(&mut self, tid: Tid, wait: Wait) {
        if let Some(Task { state: State::Blocked(own), .. }) = self.tasks.get_mut(&tid) {
            *own = wait;
        }
    }

    /// The waiters of the futex `key`, in the order in which they came, each with its number in that.
    pub(crate) fn futex_waiters(&self, key: FutexKey) -> impl Iterator<Item = (u64, &Task)> {
        let places = self.sets.futexes.range((key, 0, Tid::MIN)..=(key, u64::MAX, Tid::MAX));
        places.filter_map(|(_, sequence, tid)| Some((*sequence, self.tasks.get(tid)?)))
    }

    /// The threads of the process that wait for a futex.
    pub(crate) fn all_futex_waiters(&self) -> impl Iterator<Item = &Task> {
        self.sets.futexes.iter().filter_map(|(_, _, tid)| self.tasks.get(tid))
    }

    /// Changes the place of thread `tid` among the waiters of a futex, if it has one.
    pub(crate) fn change_queued(&mut self, tid: Tid, change: impl FnOnce(&mut Queued)) {
        self.change(tid, |task| task.restart.queued.as_mut().map(change));
    }

    /// When the first of those that are blocked until a deadline goes on.
    #[must_use]
    pub fn next_deadline(&self) -> Option<u64> {
        self.sets.sleepers.first().map(|(at, _)| *at)
    }

    /// The live thread `tid`.
    ///
    /// # Panics
    /// When there is none: for ids that came from [`Tasks`] itself.
    #[must_use]
    #[expect(clippy::expect_used, reason = "documented: ids of live threads only")]
    pub fn get(&self, tid: Tid) -> &Task {
        self.tasks.get(&tid).expect("a live thread")
    }

    /// As [`Tasks::get`], to change it.
    ///
    /// # Panics
    /// As [`Tasks::get`].
    #[expect(clippy::expect_used, reason = "documented: ids of live threads only")]
    pub fn get_mut(&mut self, tid: Tid) -> &mut Task {
        self.tasks.get_mut(&tid).expect("a live thread")
    }

    /// The thread that runs, or that ran last.
    ///
    /// # Panics
    /// When it has ended since.
    #[must_use]
    pub fn running(&self) -> &Task {
        self.get(self.current)
    }

    /// Thread `tid`, if it lives.
    #[must_use]
    pub fn lookup(&self, tid: Tid) -> Option<&Task> {
        self.tasks.get(&tid)
    }

    /// The thread that a guest named, if it lives.
    pub fn find(&mut self, tid: Tid) -> Option<&mut Task> {
        self.tasks.get_mut(&tid)
    }

    /// All threads in order of id.
    pub fn iter(&self) -> impl Iterator<Item = &Task> {
        self.tasks.values()
    }

    /// All threads, to change them.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Task> {
        self.tasks.values_mut()
    }

    /// How many live.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Whether none lives.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Whether thread `tid` lives and may run.
    #[must_use]
    pub fn runnable(&self, tid: Tid) -> bool {
        !self.stopped && self.tasks.get(&tid).is_some_and(Task::is_runnable)
    }

    /// The threads that may run, in order of id.
    pub fn all_runnable(&self) -> impl Iterator<Item = &Task> {
        let runnable = self.sets.runnable.iter().filter(|_| !self.stopped);
        runnable.filter_map(|tid| self.tasks.get(tid))
    }

    /// The blocked threads, in order of id, each with its wait.
    pub(crate) fn blocked(&self) -> impl Iterator<Item = (Tid, &Wait)> {
        self.tasks.values().filter_map(|task| match &task.state {
            State::Blocked(wait) => Some((task.tid, wait)),
            State::Ready | State::Retry(_) => None,
        })
    }

    /// The blocked threads that wait for descriptions, in order of id.
    pub(crate) fn polling(&self) -> impl Iterator<Item = Tid> {
        self.blocked().filter(|(_, wait)| !wait.descriptions.is_empty()).map(|(tid, _)| tid)
    }
}

#[cfg(test)]
mod tests {
    use warmfork_abi::Registers;

    use super::super::Word;
    use super::*;
    use crate::ids::SpaceId;

    /// Numbers that look random, the same in each run (a linear congruential generator).
    struct Numbers(u64);

    impl Numbers {
        fn below(&mut self, limit: u64) -> u64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) % limit
        }
    }

    fn key(number: u64) -> FutexKey {
        FutexKey::Private(SpaceId(0), number * 4)
    }

    fn place(number: u64, sequence: u64) -> Queued {
        Queued { word: Word { key: key(number), address: number * 4 }, bitset: 1, lock: false, sequence, woken: false }
    }

    /// One thing that happens to thread `tid`.
    fn happen(tasks: &mut Tasks, numbers: &mut Numbers, tid: Tid, time: u64) {
        let lives = tasks.lookup(tid).is_some();
        match numbers.below(10) {
            0 if lives => drop(tasks.remove(tid)),
            _ if !lives => tasks.insert(Task::new(tid, Registers::default(), Vec::new())),
            1 => tasks.wake(tid),
            2 => tasks.wake_sleepers(time),
            3 => tasks.change_queued(tid, |queued| queued.woken = true),
            4 => tasks.change_queued(tid, |queued| *queued = place(time % 3, time)),
            5 => {
                if let Some(wait) = tasks.take_wait(tid) {
                    tasks.return_wait(tid, wait);
                }
            }
            6 => tasks.wake_where(|task, _| task.tid % 3 == tid % 3),
            _ if !tasks.get(tid).is_runnable() => tasks.wake(tid),
            7 if tasks.begin_call(tid).is_some() => tasks.retry(tid, Wait::default()),
            other => {
                tasks.begin_call(tid);
                tasks.get_mut(tid).restart = super::super::Restart::default();
                if other == 8 {
                    tasks.get_mut(tid).queue(place(time % 3, time));
                }
                tasks.block(tid, Wait::until(time.is_multiple_of(2).then_some(time + numbers.below(50))));
            }
        }
    }

    #[test]
    fn the_sets_follow_the_threads() {
        let (mut tasks, mut numbers) = (Tasks::default(), Numbers(1));
        let mut most = (0, 0, 0);
        for time in 0..20_000 {
            let tid = 2 + Tid::try_from(numbers.below(12)).unwrap();
            happen(&mut tasks, &mut numbers, tid, time);
            let mut scanned = Sets::default();
            tasks.tasks.values().for_each(|task| scanned.add(task));
            assert_eq!(tasks.sets, scanned, "at {time}");
            assert_eq!(tasks.next_deadline(), tasks.iter().filter_map(|task| Some(task.deadline()?.0)).min());
            let blocked = tasks.len() - scanned.runnable.len();
            assert_eq!(tasks.blocked().count(), blocked);
            most = (most.0.max(blocked), most.1.max(scanned.sleepers.len()), most.2.max(scanned.futexes.len()));
        }
        assert!(most.0 > 5 && most.1 > 3 && most.2 > 3, "{most:?}");
    }

    #[test]
    fn waiters_of_a_futex_come_in_turn() {
        let mut tasks = Tasks::default();
        for (tid, sequence) in [(4, 2), (5, 1), (6, 3)] {
            let mut task = Task::new(tid, Registers::default(), Vec::new());
            task.queue(place(u64::from(tid == 6), sequence));
            tasks.insert(task);
            tasks.block(tid, Wait::default());
        }
        let waiters =
            |tasks: &Tasks, number| tasks.futex_waiters(key(number)).map(|(_, task)| task.tid).collect::<Vec<_>>();
        assert_eq!((waiters(&tasks, 0), waiters(&tasks, 1)), (vec![5, 4], vec![6]));
        // One whose time is up is in the queue until its call has looked.
        tasks.wake(5);
        assert_eq!(waiters(&tasks, 0), [5, 4]);
        tasks.begin_call(5);
        assert_eq!(waiters(&tasks, 0), [4]);
    }

    #[test]
    fn a_reset_puts_the_sets_back() {
        let mut tasks = Tasks::default();
        for tid in 2..6 {
            tasks.insert(Task::new(tid, Registers::default(), Vec::new()));
        }
        tasks.block(3, Wait::until(Some(7)));
        let snapshot = tasks.clone();
        tasks.wake_sleepers(7);
        tasks.block(4, Wait::default());
        tasks.remove(5);
        assert!(tasks != snapshot);
        tasks.assign(&snapshot);
        assert!(tasks == snapshot && tasks.sets == snapshot.sets);
    }
}
