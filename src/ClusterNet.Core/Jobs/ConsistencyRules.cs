using ClusterNet.Core.Faults;

namespace ClusterNet.Core.Jobs;

/// <summary>What must hold between consistency, codec and the rest of a training.</summary>
internal static class ConsistencyRules
{
    private static readonly TrainingSpec _plain = new();

    public static void Apply(TrainingSpec training, ICollection<Fault> faults)
    {
        var mode = JobWords.Of(JobWords.Modes, training.Consistency);
        var codec = JobWords.Of(JobWords.GradientCodecs, training.Codec);
        if (training.Consistency != ConsistencyMode.Ssp && training.Staleness != _plain.Staleness)
            Fault("staleness", $"belongs to the consistency ssp, not to {mode}");
        if (training.Codec != GradientCodec.TopK && training.TopK != _plain.TopK)
            Fault("top-k", $"belongs to the codec top-k, not to {codec}");
        if (training.Publish is not null && training.IsAsynchronous)
            Fault("publish", $"what was handed over must be what a recovery computes again, which {mode} does not promise: take bsp");
        if (training.IsAsynchronous)
            CheckAsynchronous();
        else if (training.BackupWorkers > 0)
            CheckBackups();

        void CheckAsynchronous()
        {
            if (training.BackupWorkers > 0)
                Fault("backup-workers", $"nobody waits for a late worker under {mode}: take bsp, or no backup workers");
            if (training.Codec != GradientCodec.Fp32)
                Fault("codec", $"{codec} keeps what it lost with the slice, and under {mode} a slice is another worker's each step: take fp32 (pull-codec bf16 is possible), or bsp");
            if (training.Optimizer.Kind == OptimizerKind.Lamb)
                Fault("optimizer.kind", $"lamb needs norms over all shards at one step, and under {mode} shards are not in step: take adamw, or bsp");
            if (training.Clip.Norm is not null)
                Fault("clip.norm", $"the norm is over all shards at one step, and under {mode} shards are not in step: take clip.value, or bsp");
        }

        void CheckBackups()
        {
            if (training.BackupWorkers > training.Workers)
                Fault("backup-workers", $"{training.BackupWorkers} backups for {training.Workers} workers: at most as many as there are workers");
            if (training.Codec != GradientCodec.Fp32)
                Fault("backup-workers", $"{codec} keeps what it lost at the worker that a slice belongs to, and a backup does not have it: take fp32, or no backup workers");
        }

        void Fault(string name, string message) => faults.Add(new Fault($"training.{name}", message));
    }
}
