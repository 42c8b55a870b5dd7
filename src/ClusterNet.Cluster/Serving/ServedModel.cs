using ClusterNet.Cluster.Parameters;
using ClusterNet.Core.Data;
using ClusterNet.Core.Metrics;
using ClusterNet.Core.Parameters;
using ClusterNet.Data;
using ClusterNet.Data.Preparation;
using ClusterNet.Learning.Models;
using ClusterNet.Learning.Training;
using static ClusterNet.Cluster.Models.ModelProtocol;

namespace ClusterNet.Cluster.Serving;

/// <summary>A version on TorchSharp: the module, its loss, which says what outputs mean, and the preparation that travels with it.</summary>
internal sealed class ServedModel : IServedModel
{
    private readonly TrainableModel _model;
    private readonly FittedPreparation _preparation;
    private readonly LossFunction _loss;
    private readonly Predictor _predictor;
    private readonly Evaluator _evaluator;

    private ServedModel(TrainableModel model, FittedPreparation preparation, LossFunction loss, Predictor predictor, int warmUp)
    {
        _model = model;
        _preparation = preparation;
        _loss = loss;
        _predictor = predictor;
        _evaluator = new Evaluator(model, loss);
        var zeros = new SampleSet(model.Signature.Shape, new float[model.Signature.Shape.Aggregate(1, (product, axis) => product * axis)], default, default, new int[1]);
        for (var i = 0; i < warmUp; i++)
            _predictor.Predict(zeros);
        Arithmetic = predictor.TrialOutputs();
    }

    /// <summary>Loads versions whose kind of model is in <paramref name="catalog"/>.</summary>
    /// <param name="catalog">kinds of models</param>
    /// <param name="threads">torch threads</param>
    /// <param name="warmUp">computations before it is ready: the first ones of a model are slow</param>
    public static ServedModelLoader LoaderFor(ModelCatalog catalog, int threads, int warmUp = 0) => (stored, parts) => Load(catalog, threads, warmUp, stored, parts);

    /// <inheritdoc/>
    public bool IsQuickerTogether => _predictor.IsQuickerTogether;

    /// <inheritdoc/>
    public string Arithmetic { get; }

    /// <inheritdoc/>
    public SampleSet Prepare(RawSamples samples, bool withTargets) => _preparation.Prepare(samples, withTargets);

    /// <inheritdoc/>
    public float[] Predict(SampleSet samples) => _predictor.Predict(samples);

    /// <inheritdoc/>
    public MetricAccumulator Evaluate(SampleSet samples) => _evaluator.Evaluate(samples);

    /// <inheritdoc/>
    public void Dispose()
    {
        _predictor.Dispose();
        _evaluator.Dispose();
        _loss.Dispose();
        _model.Dispose();
    }

    private static ServedModel Load(ModelCatalog catalog, int threads, int warmUp, StoredVersion stored, IReadOnlyList<(ShardRange Range, TensorPayload Values)> parts)
    {
        var version = stored.Version;
        FittedPreparation preparation;
        try
        {
            preparation = FittedPreparation.FromJson(stored.PreparationJson);
        }
        catch (FormatException e)
        {
            throw new InvalidDataException($"its preparation can't be read: {e.Message}", e);
        }
        var model = catalog.Build(version.Model, stored.Loss, preparation.Signature, version.Seed, threads);
        if (model.Layout.Length != version.Parameters)
        {
            model.Dispose();
            throw new InvalidDataException(
                $"model '{version.Model.Kind}' has {model.Layout.Length} parameters here and {version.Parameters} where it was trained: this is not the same program, or not the same model");
        }
        var loss = new LossFunction(stored.Loss, preparation.Signature);
        // tries its batches on the weights that a training starts from: trained ones may be zeros that hide how sums are taken
        var predictor = new Predictor(model, loss, isBatchInvariant: true);
        foreach (var (range, values) in parts)
            values.Span.CopyTo(model.Weights.Slice(range.Offset, range.Length));
        model.FinishWeights();
        return new ServedModel(model, preparation, loss, predictor, warmUp);
    }
}
