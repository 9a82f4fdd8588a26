use embed_bench::{
    dataset::Catalog,
    embed,
    prompt::{Template, Truncation},
    spec::*,
};
use std::ops::ControlFlow;
#[test]
fn probe() {
    for dtype in [DType::F32, DType::Bf16] {
        let m =
            Model { id: "m".into(), source: Source::Path("/tmp/minilm".into()), dtype, device: Device::Cpu, max_tokens: None };
        let e = embed::open(&m, &Catalog::new("".into(), None), std::path::Path::new("/tmp/minilm-home")).unwrap();
        println!("{:?}", e.card());
        let r = e.readout(&Readout { id: "o".into(), layer: -1, pool: Pooling::Own, norm: false, normalize: false }).unwrap();
        println!("{r:?}");
        let t = Template::parse("{text}").unwrap();
        let texts: Vec<String> =
            std::fs::read_to_string("/tmp/minilm-texts.txt").unwrap().lines().map(|l| l.to_owned()).collect();
        let ids: Vec<Vec<u32>> = texts.iter().map(|x| e.prepare(&t, x, Truncation::WholePrompt).unwrap().ids).collect();
        std::fs::write("/tmp/minilm-ids.json", serde_json::to_string(&ids).unwrap()).unwrap();
        let rows: Vec<&[u32]> = ids.iter().map(Vec::as_slice).collect();
        let mut out = vec![Vec::new(); rows.len()];
        for _ in 0..2 {
            let t0 = std::time::Instant::now();
            let mut tokens = 0;
            e.encode(&rows, 0, &[r.clone()], &mut |b| {
                tokens += b.tokens;
                for (i, &row) in b.rows.iter().enumerate() {
                    out[row] = b.embeddings[0].row(i).to_vec();
                }
                ControlFlow::Continue(())
            })
            .unwrap();
            println!(
                "{dtype} {} rows {tokens} tokens {:?} = {:.0} tokens/s",
                rows.len(),
                t0.elapsed(),
                tokens as f64 / t0.elapsed().as_secs_f64()
            );
        }
        std::fs::write(format!("/tmp/minilm-out-{dtype}.json"), serde_json::to_string(&out).unwrap()).unwrap();
    }
}
