using System.Collections.Concurrent;
using System.Text.Json;
using ClusterNet.Core.Jobs;
using ClusterNet.Data;
using ClusterNet.Data.Preparation;

namespace ClusterNet.Cluster.Workers;

/// <summary>The prepared data of the jobs of a node: read once, shared by all workers of the node, let go when none holds it. Thread-safe.</summary>
/// <param name="folders">what may be read here</param>
internal sealed class JobData(DataFolders folders)
{
    private readonly ConcurrentDictionary<string, Slot> _slots = new(StringComparer.Ordinal);

    /// <summary>Reads, splits, fits and prepares, always anew: the source may have changed. A worker that comes soon after finds it here.</summary>
    /// <exception cref="Core.Faults.InputException">the data can't be used</exception>
    public PreparedData Prepare(DataSpec data, long seed) => Get(data, seed, () => DataPipeline.Load(data, seed), _ => false);

    /// <summary>Reads and prepares with what was fitted before.</summary>
    /// <exception cref="Core.Faults.InputException">the data can't be used, or is not what it was</exception>
    public PreparedData Load(DataSpec data, long seed, WorkerProtocol.JobPlan plan)
    {
        var prepared = Get(data, seed, () => DataPipeline.Load(data, seed, FittedPreparation.FromJson(plan.PreparationJson)), held => held.Fingerprint == plan.DataFingerprint);
        if (prepared.Fingerprint != plan.DataFingerprint)
        {
            throw new Core.Faults.InputException("data.source",
                $"'{data.Source}' is not what it was when the job was submitted: its fingerprint is {prepared.Fingerprint[..12]} here and was {plan.DataFingerprint[..12]} then; restore the data, or submit a new job");
        }
        return prepared;
    }

    /// <summary>Whether a source is not on this node, or may not be read here, so that it is another node's affair.</summary>
    public bool Lacks(DataSpec data) => !DataPipeline.IsBuiltin(data.Source) && !(folders.Allow(data.Source) && Path.Exists(data.Source));

    private PreparedData Get(DataSpec data, long seed, Func<PreparedData> load, Func<PreparedData, bool> isStillRight)
    {
        folders.Require(data.Source);
        var slot = _slots.GetOrAdd(JsonSerializer.Serialize(data) + seed, _ => new Slot());
        lock (slot)
        {
            if (slot.Data?.TryGetTarget(out var held) == true && isStillRight(held))
                return held;
            var loaded = load();
            slot.Data = new WeakReference<PreparedData>(loaded);
            return loaded;
        }
    }

    private sealed class Slot
    {
        public WeakReference<PreparedData>? Data { get; set; }
    }
}
