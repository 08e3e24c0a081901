//! Attempts at jobs: what is refused, and a whole training.
#![allow(clippy::unwrap_used)]

use crate::common;

use common::{World, frozen, name};
use dyad_kgc::Cause;
use dyad_learn::checkpoint::{Checkpoint, Holder};
use dyad_learn::signed::{Facts, Signed};
use dyad_learn::{Job as Training, together};
use dyad_mpc::correlations::{AHEAD, LinkSource};
use dyad_mpc::link::Link;
use dyad_mpc::prg::{Attempt, Party as Side, Seed};
use dyad_mpc::together::{Input, Lines, shares};
use dyad_mpc::{Contract, Opened, Party, Session};
use dyad_net::identity::{Identity, Role};
use dyad_net::link::dial;
use dyad_net::member::Member;
use dyad_net::tls::Expect;
use dyad_protos::job::{self, Engine, Job, Opening, Randomness, Upload};
use dyad_protos::study::Study;
use dyad_protos::wire::kgc::v1::{
    Approval, AttemptReply, AttemptRequest, EndJobRequest, HandOverRequest,
};
use dyad_protos::{Document, Hex, consent, digest};
use std::time::Duration;
use tokio::runtime::Handle;
use tonic::{Response, Status};

const LIMIT: Duration = Duration::from_secs(20);

struct Scene {
    world: World,
    clouds: [Member; 2],
    owners: [Member; 2],
    study: Document<Study>,
}

fn signed(job: &Job) -> Signed {
    Signed::read(&Facts {
        train: &job.train,
        rows: job.rows,
        test_rows: job.test_rows,
        split: job.split,
        checkpoint: job.checkpoint,
        features: 2,
        classes: 2,
        fraction_bits: 8,
        value_bits: 10,
        dealt: job.is_dealt(),
    })
    .unwrap()
}

impl Scene {
    async fn new() -> Self {
        let world = World::start().await;
        let clouds = world.clouds().await;
        let owners =
            [world.enrol(Role::Owner, "north").await, world.enrol(Role::Owner, "south").await];
        let study = frozen("heart", &[&owners[0], &owners[1]]).await;
        Self { world, clouds, owners, study }
    }

    /// Logistic regression on 48 rows, tested on 16.
    fn job(&self, id: u8) -> Job {
        let train = Training { epochs: 2, ..Training::logistic(48, 2, 2, 16) };
        let upload = |owner: &str, id: u8| Upload {
            owner: name(owner),
            manifest: Hex([id; 32]),
            c0: Hex([1; 32]),
            c1: Hex([2; 32]),
        };
        let mut job = Job {
            version: job::VERSION,
            id: Hex([id; 16]),
            study: Hex(self.study.digest()),
            author: name("north"),
            release: "9.9.9".into(),
            program: Hex([0; 32]),
            opening: Opening::Joint,
            recipients: vec![name("south")],
            may_predict: vec![],
            left_out: 0,
            rows: 64,
            rows_digest: Hex([3; 32]),
            test_rows: 16,
            split: 5,
            checkpoint: 2,
            engine: Engine::Share,
            randomness: Randomness::Dealer,
            uploads: vec![upload("north", 4), upload("south", 5)],
            train: toml::Table::try_from(&train).unwrap(),
        };
        job.program = Hex(signed(&job).cost(0).unwrap().1);
        job
    }

    fn now(&self) -> u64 {
        dyad_node::Clock::now(&self.world.clock).millis() as u64 / 1000
    }

    /// A request with everybody's approval.
    fn request(&self, job: &Document<Job>, nonces: [u8; 2]) -> AttemptRequest {
        let expires = self.now() + 60;
        let approval = |owner: &Member| Approval {
            owner: owner.identity.name.to_string(),
            expires,
            signature: owner
                .sign
                .sign(consent::APPROVED, &consent::approval(&job.digest(), expires))
                .0
                .to_vec()
                .into(),
        };
        AttemptRequest {
            job: job.text().to_vec().into(),
            nonces: nonces.map(|nonce| vec![nonce; 16].into()).into(),
            from_nonces: vec![],
            from_step: 0,
            approvals: self.owners.iter().map(approval).collect(),
        }
    }

    async fn ask(
        &self,
        side: Side,
        request: &AttemptRequest,
    ) -> Result<Response<AttemptReply>, Status> {
        attempt(&self.clouds[side.index()], request).await
    }

    async fn end(&self, side: Side, job: &Document<Job>) {
        let request = EndJobRequest { job: job.digest().to_vec().into() };
        self.clouds[side.index()].registry().unwrap().end_job(request).await.unwrap();
    }

    /// Dealers that ended so.
    fn dealers(&self, ended: &str) -> u64 {
        self.world.counted("dyad_dealers_total", &format!("ended=\"{ended}\""))
    }

    fn secrets(&self) -> usize {
        let folder = self.world.config.store.join("jobs");
        std::fs::read_dir(folder).map_or(0, std::iter::Iterator::count)
    }
}

async fn attempt(by: &Member, request: &AttemptRequest) -> Result<Response<AttemptReply>, Status> {
    by.registry().unwrap().attempt(request.clone()).await
}

fn document(job: &Job) -> Document<Job> {
    Document::write(job).unwrap()
}

fn seed(reply: &AttemptReply) -> Seed {
    Seed::from_bytes(reply.seed[..].try_into().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn consent_is_checked() {
    let scene = Scene::new().await;
    let (world, job) = (&scene.world, document(&scene.job(1)));
    let good = scene.request(&job, [1, 2]);
    for cloud in [Side::Zero, Side::One] {
        let mut missing = good.clone();
        missing.approvals.pop();
        let said = world.refused(Cause::Approval, scene.ask(cloud, &missing).await);
        assert!(said.contains("south"), "{said}");
        let mut forged = good.clone();
        forged.approvals[1].signature = forged.approvals[0].signature.clone();
        world.refused(Cause::Approval, scene.ask(cloud, &forged).await);
        let mut longer = good.clone();
        longer.approvals[0].expires += 1;
        world.refused(Cause::Approval, scene.ask(cloud, &longer).await);
        let other = document(&scene.job(2));
        let of_another = AttemptRequest { job: other.text().to_vec().into(), ..good.clone() };
        world.refused(Cause::Approval, scene.ask(cloud, &of_another).await);
    }
    world.refused(Cause::Role, attempt(&scene.owners[0], &good).await);

    let mut strange = scene.job(3);
    strange.recipients.push(name("stranger"));
    let strange = scene.request(&document(&strange), [1, 2]);
    world.refused(Cause::Stranger, scene.ask(Side::One, &strange).await);
    let mut unknown = scene.job(3);
    unknown.study = Hex([9; 32]);
    let unknown = scene.request(&document(&unknown), [1, 2]);
    world.refused(Cause::Study, scene.ask(Side::One, &unknown).await);
    let mut text = good.clone();
    text.job = b"version = 1\nid = 5"[..].into();
    world.refused(Cause::Message, scene.ask(Side::One, &text).await);

    world.clock.advance(Duration::from_secs(61));
    let said = world.refused(Cause::ApprovalExpired, scene.ask(Side::One, &good).await);
    assert!(said.contains("ended 1 seconds"), "{said}");
    assert_eq!(scene.secrets(), 0, "nothing refused has left anything");
    // What has begun goes on, though approvals have ended meanwhile.
    scene.ask(Side::One, &scene.request(&job, [1, 2])).await.unwrap();
    let later = scene.request(&job, [3, 4]);
    world.clock.advance(Duration::from_hours(1));
    scene.ask(Side::Zero, &later).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_who_was_revoked_agrees_to_nothing() {
    let scene = Scene::new().await;
    let request = scene.request(&document(&scene.job(1)), [1, 2]);
    dyad_kgc::revoke(&scene.world.config, Role::Owner, &name("south")).await.unwrap();
    let said = scene.world.refused(Cause::Revoked, scene.ask(Side::Zero, &request).await);
    assert!(said.contains("owner south"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn programs_ids_and_nonces_are_checked() {
    let scene = Scene::new().await;
    let world = &scene.world;
    let mut other = scene.job(1);
    other.program = Hex([8; 32]);
    let other = scene.request(&document(&other), [1, 2]);
    let said = world.refused(Cause::Program, scene.ask(Side::One, &other).await);
    let ours = scene.job(1).program.to_string();
    for part in ["9.9.9", &Hex([8; 32]).to_string(), env!("CARGO_PKG_VERSION"), &ours] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let mut nonsense = scene.job(1);
    nonsense.train.insert("batch".into(), 0.into());
    let nonsense = scene.request(&document(&nonsense), [1, 2]);
    world.refused(Cause::Program, scene.ask(Side::One, &nonsense).await);

    let mut alone = scene.job(1);
    alone.randomness = Randomness::Pairwise;
    let alone = scene.request(&document(&alone), [1, 2]);
    let said = world.refused(Cause::Message, scene.ask(Side::One, &alone).await);
    assert!(said.contains("nothing is dealt"), "{said}");

    let job = document(&scene.job(1));
    let good = scene.request(&job, [1, 2]);
    let same = scene.request(&job, [1, 1]);
    world.refused(Cause::Nonce, scene.ask(Side::Zero, &same).await);
    let mut short = good.clone();
    short.nonces[0] = vec![1; 15].into();
    world.refused(Cause::Message, scene.ask(Side::Zero, &short).await);
    let first = scene.ask(Side::Zero, &good).await.unwrap().into_inner();
    assert_eq!(scene.ask(Side::Zero, &good).await.unwrap().into_inner(), first);
    let one = scene.ask(Side::One, &good).await.unwrap().into_inner();
    assert_eq!(scene.ask(Side::One, &good).await.unwrap().into_inner(), one);
    assert_eq!(first.checks, one.checks);
    assert_eq!(seed(&first).check(), first.checks[0][..]);
    assert_eq!(seed(&one).check(), first.checks[1][..]);

    let mut same_id = scene.job(1);
    same_id.split += 1;
    let same_id = scene.request(&document(&same_id), [5, 6]);
    world.refused(Cause::JobId, scene.ask(Side::One, &same_id).await);
    let replay = scene.request(&job, [1, 3]);
    world.refused(Cause::Nonce, scene.ask(Side::One, &replay).await);
    let replay = scene.request(&job, [3, 2]);
    world.refused(Cause::Nonce, scene.ask(Side::Zero, &replay).await);
    let mut elsewhere = good.clone();
    elsewhere.from_nonces = [7, 8].map(|nonce| vec![nonce; 16].into()).into();
    elsewhere.from_step = 2;
    world.refused(Cause::Nonce, scene.ask(Side::Zero, &elsewhere).await);
    // A newer attempt ends the older one.
    let newer = scene.ask(Side::Zero, &scene.request(&job, [3, 4])).await.unwrap().into_inner();
    assert_ne!(newer.seed, first.seed);
    world.refused(Cause::Nonce, scene.ask(Side::One, &good).await);

    assert_eq!(scene.secrets(), 1);
    scene.end(Side::Zero, &job).await;
    scene.end(Side::Zero, &job).await;
    assert_eq!(scene.secrets(), 1, "the other cloud has not said so");
    scene.end(Side::One, &job).await;
    assert_eq!(scene.secrets(), 0);
    world.refused(Cause::JobEnded, scene.ask(Side::Zero, &scene.request(&job, [8, 9])).await);
    scene.end(Side::One, &job).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_cloud_than_the_studys_is_refused() {
    let scene = Scene::new().await;
    let request = scene.request(&document(&scene.job(1)), [1, 2]);
    dyad_kgc::revoke(&scene.world.config, Role::C1, &name("one")).await.unwrap();
    let other = scene.world.enrol(Role::C1, "other").await;
    let said = scene.world.refused(Cause::Stranger, attempt(&other, &request).await);
    assert!(said.contains("heart"), "{said}");
    assert!(other.registry().unwrap().hand_over(HandOverRequest {}).await.is_err());
}

/// What a cloud does with its seed, as C0 or C1 would.
struct Cloud {
    side: Side,
    seed: Seed,
    attempt: Attempt,
    contract: Contract,
    inputs: Vec<Input>,
    state: Option<Checkpoint>,
    link: Box<dyn Link>,
    dealer: Option<Box<dyn Link>>,
    /// To stop after so many steps, as if killed.
    steps: u64,
}

impl Cloud {
    fn run(self, signed: &Signed) -> Result<(Vec<Opened>, Checkpoint), Option<Checkpoint>> {
        let Self { side, seed, attempt, contract, inputs, state, link, dealer, steps } = self;
        let from = state.as_ref().map_or(0, Checkpoint::step);
        let party = match dealer {
            None => Party::zero(&seed, &attempt, link),
            Some(dealer) => {
                let source = LinkSource::new(dealer, &attempt.job, AHEAD, LIMIT);
                Party::one(&seed, &attempt, link, Box::new(source))
            }
        };
        let mut party = party.waiting(LIMIT);
        let holder = Holder::Cloud(side);
        let before = state.iter().flat_map(|state| {
            state.expect(signed.plan(), &state.attempt(), holder, from).unwrap().to_vec()
        });
        for Input { name, meta, words } in before.chain(inputs) {
            party.give(&name, meta, words);
        }
        party.greet(&contract).unwrap();
        let mut session = Session::new(party);
        let mut last = None;
        let opened = signed.run(from).each(&mut session, &mut |training| {
            if training.is_agreed() && training.done() > from {
                last = Some(Checkpoint::of(training, attempt, holder).unwrap());
            }
            if training.done() >= steps {
                let op = dyad_mpc::Op { step: steps, number: 0, name: "killed" };
                let who = dyad_mpc::Who { name: "test", job: [0; 4] };
                let source = dyad_mpc::link::LinkError::Closed;
                return Err(dyad_mpc::Error::Link { who, op, peer: "test", source });
            }
            Ok(())
        });
        match (opened, last) {
            (Ok(opened), Some(last)) => Ok((opened, last)),
            (_, last) => Err(last),
        }
    }
}

impl Scene {
    /// Both clouds run an attempt.
    async fn train(
        &self,
        job: &Document<Job>,
        nonces: [u8; 2],
        inputs: &[Input],
        states: Option<[Checkpoint; 2]>,
        steps: u64,
    ) -> [Result<(Vec<Opened>, Checkpoint), Option<Checkpoint>>; 2] {
        let signed = signed(job);
        let mut request = self.request(job, nonces);
        let program = match &states {
            None => signed.cost(0).unwrap().1,
            Some([state, _]) => {
                let before = state.attempt().nonces;
                request.from_nonces = before.map(|nonce| nonce.to_vec().into()).into();
                request.from_step = state.step();
                state.bind(signed.cost(state.step()).unwrap().1)
            }
        };
        let replies = [
            self.ask(Side::Zero, &request).await.unwrap().into_inner(),
            self.ask(Side::One, &request).await.unwrap().into_inner(),
        ];
        let attempt = Attempt { job: job.digest(), nonces: nonces.map(|nonce| [nonce; 16]) };
        let seeds = replies.each_ref().map(seed);
        let contract = Contract::new(attempt, program, [&seeds[0], &seeds[1]]);
        let [zero, one] = &attempt.nonces;
        let session = digest("link of dealer", &[&attempt.job, zero, one]);
        let c1 = &self.clouds[1];
        let kgc = Identity::new(Role::Kgc, name("centre"));
        let line = c1.tls.line(&self.world.config.listen, Expect::identity(kgc)).unwrap();
        let dealer = dial(&Handle::current(), line, session);
        let (zero, one) = Lines::Memory.pair().unwrap();
        let [inputs_0, inputs_1] = shares(inputs);
        let [state_0, state_1] = states.map_or([None, None], |states| states.map(Some));
        let [seed_0, seed_1] = seeds;
        let clouds = [
            Cloud {
                side: Side::Zero,
                seed: seed_0,
                attempt,
                contract,
                inputs: inputs_0,
                state: state_0,
                link: zero,
                dealer: None,
                steps,
            },
            Cloud {
                side: Side::One,
                seed: seed_1,
                attempt,
                contract,
                inputs: inputs_1,
                state: state_1,
                link: one,
                dealer: Some(Box::new(dealer)),
                steps,
            },
        ];
        let threads = clouds.map(|cloud| {
            let signed = signed.clone();
            std::thread::spawn(move || cloud.run(&signed))
        });
        let wait = || threads.map(|thread| thread.join().unwrap());
        tokio::task::block_in_place(wait)
    }
}

fn inputs(signed: &Signed) -> Vec<Input> {
    let mut gather = signed.gather();
    for row in 0..64_u32 {
        let (a, b) = (u64::from(row % 8) * 32, u64::from(row / 8) * 32);
        let yes = u64::from(a + b > 224);
        gather.put(row, &[0, 1], &[a, b, 1 - yes, yes]);
    }
    gather.inputs()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_training_and_one_that_goes_on() {
    let scene = Scene::new().await;
    let job = document(&scene.job(1));
    let signed = signed(&job);
    let inputs = inputs(&signed);
    let (clear, weights) = together::clear(&signed.run(0), &inputs, &mut |_| ()).unwrap();

    let [zero, one] = scene.train(&job, [1, 2], &inputs, None, u64::MAX).await;
    let ((opened, zero), (_, one)) = (zero.unwrap(), one.unwrap());
    assert_eq!(opened, clear);
    assert!(together_is(&zero, &one, &weights, &signed));
    // It was dealt: C1 gets it no more, and no other program either.
    let again = scene.request(&job, [1, 2]);
    scene.world.refused(Cause::Nonce, scene.ask(Side::One, &again).await);

    // Another job, both clouds killed after step 3 of 6: it goes on from step 2.
    let mut second = scene.job(2);
    second.split = 5;
    let second = document(&second);
    let [zero, one] = scene.train(&second, [3, 4], &inputs, None, 3).await;
    let states = [zero.unwrap_err().unwrap(), one.unwrap_err().unwrap()];
    assert_eq!(states[0].step(), 2);
    let [zero, one] = scene.train(&second, [5, 6], &inputs, Some(states), u64::MAX).await;
    let ((opened, zero), (_, one)) = (zero.unwrap(), one.unwrap());
    assert_eq!(opened, clear);
    assert!(together_is(&zero, &one, &weights, &signed));
    for side in [Side::Zero, Side::One] {
        scene.end(side, &second).await;
    }
    // The one that was cut may have been dealt to its end: it is short.
    let until = std::time::Instant::now() + LIMIT;
    while scene.dealers("done") < 2 && std::time::Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(scene.dealers("done") >= 2);
    let mut world = scene.world;
    world.stop().await;
    let audit = world.audit().await;
    for what in [
        "token",
        "enrol",
        "create study",
        "join study",
        "freeze study",
        "attempt",
        "deal",
        "end job",
        "refused",
    ] {
        assert!(audit.iter().any(|(_, did)| did == what), "{what}: {audit:?}");
    }
    assert!(audit.contains(&("c1 one".into(), "attempt".into())));
}

/// Do the shares add up to these weights?
fn together_is(zero: &Checkpoint, one: &Checkpoint, clear: &Checkpoint, signed: &Signed) -> bool {
    let words = |state: &Checkpoint, holder| {
        let tensors = state.expect(signed.plan(), &state.attempt(), holder, state.step());
        tensors.unwrap().iter().flat_map(|input| input.words.clone()).collect::<Vec<_>>()
    };
    let zero = words(zero, Holder::Cloud(Side::Zero));
    let one = words(one, Holder::Cloud(Side::One));
    let clear = words(clear, Holder::Clear);
    zero.iter().zip(&one).map(|(zero, one)| zero.wrapping_add(*one)).eq(clear)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dealer_nobody_comes_for_ends_and_may_be_had_again() {
    let mut world = World::start().await;
    world.stop().await;
    world.config.limits.connect_seconds = 1;
    world.config.limits.dealers = 1;
    world.go_on().await;
    let clouds = world.clouds().await;
    let owners = [world.enrol(Role::Owner, "north").await, world.enrol(Role::Owner, "south").await];
    let study = frozen("heart", &[&owners[0], &owners[1]]).await;
    let mut scene = Scene { world, clouds, owners, study };
    let job = document(&scene.job(1));
    let request = scene.request(&job, [1, 2]);
    scene.ask(Side::One, &request).await.unwrap();
    let other = document(&scene.job(2));
    let crowd = scene.ask(Side::One, &scene.request(&other, [1, 2])).await;
    scene.world.refused(Cause::Limit, crowd);
    let until = std::time::Instant::now() + LIMIT;
    while scene.dealers("failed") == 0 && std::time::Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(scene.dealers("failed"), 1);
    // It was not dealt, so it still may be.
    scene.ask(Side::One, &request).await.unwrap();
    let start = std::time::Instant::now();
    scene.world.stop().await;
    assert!(start.elapsed() < Duration::from_secs(5), "waiting dealers do not hold it up");
}
