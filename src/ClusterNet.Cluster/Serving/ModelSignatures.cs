using ClusterNet.Core.Data;
using ClusterNet.Core.Jobs;
using ClusterNet.Data.Preparation;
using static ClusterNet.Cluster.Models.ModelProtocol;

namespace ClusterNet.Cluster.Serving;

/// <summary>What a version takes and gives, as tensors. It follows from what is stored with it, so versions of any age have one.</summary>
/// <param name="Inputs">raw columns, or the one array</param>
/// <param name="Outputs">probabilities and class, or the value</param>
internal sealed record ModelSignatures(IReadOnlyList<TensorSignature> Inputs, IReadOnlyList<TensorSignature> Outputs)
{
    private const string Numbers = "FP64";
    private const string Words = "BYTES";
    private const string Floats = "FP32";

    /// <summary>Of a stored version. One whose preparation can't be read has the names and types that the rest tells: it can't be loaded, and loading says why.</summary>
    public static ModelSignatures Of(StoredVersion stored)
    {
        var signature = stored.Version.Signature;
        return new ModelSignatures(InputsOf(stored, signature), OutputsOf(signature));
    }

    private static IReadOnlyList<TensorSignature> InputsOf(StoredVersion stored, DataSignature signature)
    {
        try
        {
            return [.. FittedPreparation.FromJson(stored.PreparationJson).Inputs.Select(input => input switch
            {
                { Shape: { } shape } => new TensorSignature(input.Name, Floats, [-1, .. shape.Select(axis => (long)axis)]),
                { Categories: { } categories } => new TensorSignature(input.Name, Words, [-1], categories),
                _ => new TensorSignature(input.Name, Numbers, [-1]),
            })];
        }
        catch (FormatException)
        {
            return [.. signature.InputNames.Select(name => new TensorSignature(name, Numbers, [-1]))];
        }
    }

    private static IReadOnlyList<TensorSignature> OutputsOf(DataSignature signature) => signature.Task == LearningTask.Classification
        ?
        [
            new TensorSignature(TensorSignature.ProbabilitiesName, Floats, [-1, signature.Classes.Count], signature.Classes),
            new TensorSignature(TensorSignature.ClassName, Words, [-1], signature.Classes),
        ]
        : [new TensorSignature(TensorSignature.ValueName, Floats, [-1])];
}
