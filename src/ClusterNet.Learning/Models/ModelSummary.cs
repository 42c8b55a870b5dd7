namespace ClusterNet.Learning.Models;

/// <summary>What a model is made of, for people.</summary>
/// <param name="Layers">in the order they are computed</param>
/// <param name="Parameters">of all layers</param>
/// <param name="InputShape">of one sample</param>
public sealed record ModelSummary(IReadOnlyList<LayerSummary> Layers, int Parameters, IReadOnlyList<int> InputShape);

/// <summary>One layer.</summary>
/// <param name="Name">as its parameters are called, e.g. <c>dense1</c></param>
/// <param name="Kind">what it is, e.g. <c>Linear</c></param>
/// <param name="OutputShape">what one sample becomes; empty where the layer gives more than one tensor or was not used</param>
/// <param name="Parameters">how many it has</param>
public sealed record LayerSummary(string Name, string Kind, IReadOnlyList<int> OutputShape, int Parameters);
