using ClusterNet.Core.Data;
using ClusterNet.Data.Preparation;

namespace ClusterNet.Data;

/// <summary>The three parts of a source, prepared, with what prepared them.</summary>
/// <param name="Training">never empty</param>
/// <param name="Validation">may be empty</param>
/// <param name="Test">may be empty</param>
/// <param name="Preparation">fitted on <paramref name="Training"/> alone</param>
/// <param name="Fingerprint">SHA-256, lower-case hexadecimal, of the three prepared parts: ids, shapes, features and targets</param>
public sealed record PreparedData(SampleSet Training, SampleSet Validation, SampleSet Test, FittedPreparation Preparation, string Fingerprint);
