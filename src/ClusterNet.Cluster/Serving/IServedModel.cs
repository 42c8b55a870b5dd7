using ClusterNet.Cluster.Parameters;
using ClusterNet.Core.Data;
using ClusterNet.Core.Faults;
using ClusterNet.Core.Metrics;
using ClusterNet.Core.Parameters;
using ClusterNet.Data;
using static ClusterNet.Cluster.Models.ModelProtocol;

namespace ClusterNet.Cluster.Serving;

/// <summary>A version in memory, ready to compute. Made, used and disposed of by one thread.</summary>
internal interface IServedModel : IDisposable
{
    /// <summary>Whether several requests together take less time than one after the other; else merging them would only have each wait for the others.</summary>
    bool IsQuickerTogether { get; }

    /// <summary>Tells apart nodes that do not compute the same bits of it: equal on all that do. Empty where that is not known.</summary>
    string Arithmetic { get; }

    /// <summary>Prepares raw samples as the training data was.</summary>
    /// <exception cref="InputException">they do not fit the model</exception>
    SampleSet Prepare(RawSamples samples, bool withTargets);

    /// <summary>Probabilities or values, row by row. A row's bits depend on that row alone, not on what stands beside it.</summary>
    float[] Predict(SampleSet samples);

    /// <summary>Metrics of samples with targets.</summary>
    MetricAccumulator Evaluate(SampleSet samples);
}

/// <summary>Makes a version ready from what the store holds.</summary>
/// <param name="stored">what it is</param>
/// <param name="parts">its weights, in order, without gaps, already verified; released by the caller</param>
/// <exception cref="InputException">its kind of model is not known here, or its settings are not right</exception>
/// <exception cref="InvalidDataException">weights, preparation and model do not fit together</exception>
internal delegate IServedModel ServedModelLoader(StoredVersion stored, IReadOnlyList<(ShardRange Range, TensorPayload Values)> parts);
