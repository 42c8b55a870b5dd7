using System.Runtime.InteropServices;
using ClusterNet.Core.Data;
using ClusterNet.Core.Faults;
using ClusterNet.Core.Jobs;
using ClusterNet.Core.Plans;
using ClusterNet.Learning.Native;
using ClusterNet.Learning.Training;
using TorchSharp;

namespace ClusterNet.Learning.Models;

/// <summary>A name under which job files ask for a model, and what makes it.</summary>
/// <param name="Name">as in <c>model.kind</c></param>
/// <param name="Factory">makes the module</param>
public sealed record ModelRegistration(string Name, ModelFactory Factory);

/// <summary>The models that jobs can ask for: the built-in ones and the user's, all registered by <see cref="ModelServices.AddModel"/>. Thread-safe.</summary>
public sealed class ModelCatalog
{
    // libtorch's modules draw their first weights from the process's generator: one model at a time, each from its own seed
    private static readonly Lock _building = new();
    private readonly SortedDictionary<string, ModelFactory> _factories = new(StringComparer.Ordinal);

    /// <param name="registrations">with names that all differ</param>
    /// <exception cref="ArgumentException">a name is registered twice</exception>
    public ModelCatalog(IEnumerable<ModelRegistration> registrations)
    {
        ArgumentNullException.ThrowIfNull(registrations);
        foreach (var registration in registrations)
        {
            if (!_factories.TryAdd(registration.Name, registration.Factory))
                throw new ArgumentException($"a model named '{registration.Name}' is registered twice", nameof(registrations));
        }
    }

    /// <summary>The models that this project brings along: <c>mlp</c>, <c>cnn</c>, <c>rnn</c>.</summary>
    public static IReadOnlyList<ModelRegistration> BuiltIn { get; } = [new("mlp", Mlp.Create), new("cnn", Cnn.Create), new("rnn", Rnn.Create)];

    /// <summary>All names.</summary>
    public IReadOnlyCollection<string> Names => _factories.Keys;

    /// <summary>Builds a model with its initial weights, which follow from <paramref name="seed"/> alone.</summary>
    /// <param name="model">kind, settings, initialisation</param>
    /// <param name="loss">decides, with the data, how many outputs the model has</param>
    /// <param name="signature">of the data</param>
    /// <param name="seed">the job's</param>
    /// <param name="threads">torch threads, at least 1</param>
    /// <exception cref="InputException">with every fault in the settings and the loss, or why the module can't be trained</exception>
    public TrainableModel Build(ModelSpec model, LossSpec loss, DataSignature signature, long seed, int threads)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(loss);
        ArgumentNullException.ThrowIfNull(signature);
        ArgumentOutOfRangeException.ThrowIfLessThan(threads, 1);
        TorchLoader.EnsureLoaded();
        var faults = new List<Fault>();
        LossFunction.Validate(loss, signature, faults);
        if (!_factories.TryGetValue(model.Kind, out var factory))
        {
            faults.Add(Fault.Unknown("model.kind", model.Kind, [.. Names]));
            throw new InputException(faults);
        }
        var outputs = LossFunction.OutputsOf(loss, signature);
        var random = new TrainingRandom(seed);
        var context = new ModelContext(new SettingReader(model.Settings, "model", faults), signature.Shape, outputs, random);
        lock (_building)
        {
            TorchThreads.Use(threads);
            torch.manual_seed(unchecked((long)SplitMix64.Combine(seed, -1, -1, -1)));
            var module = Make(model.Kind, factory, context);
            if (!context.AvoidsOneDnn)
                NativeHeap.HandOutClean();
            try
            {
                if (random.IsOwn)
                    new OwnInitialiser(SplitMix64.Combine(seed, -1, -1, -2)).Apply(model.Initialisation, module);
                else
                    Initialiser.Apply(model.Initialisation, module);
                var summary = new ModelInspector(model.Kind, module, signature.Shape, outputs).Inspect();
                return new TrainableModel(module, summary, signature, outputs, random, threads);
            }
            catch
            {
                module.Dispose();
                random.Dispose();
                throw;
            }
        }
    }

    /// <summary>What is wrong with a model's settings, its loss, and both for this data: everything at once, without training. Builds the model on the way.</summary>
    /// <returns>empty if nothing is</returns>
    public IReadOnlyList<Fault> Validate(ModelSpec model, LossSpec loss, DataSignature signature)
    {
        try
        {
            Build(model, loss, signature, seed: 0, threads: 1).Dispose();
            return [];
        }
        catch (InputException e)
        {
            return e.Faults;
        }
    }

    private static torch.nn.Module<torch.Tensor, torch.Tensor> Make(string kind, ModelFactory factory, ModelContext context)
    {
        try
        {
            var module = factory(context) ?? throw new InputException("model", $"the factory of model '{kind}' gave no module");
            context.Check();
            return module;
        }
        catch (Exception e) when (e is ExternalException or ArgumentException or InvalidOperationException or OverflowException)
        {
            throw new InputException("model", $"model '{kind}' can't be made for samples of shape [{string.Join(", ", context.InputShape)}]: {e.Message.Split('\n')[0]}");
        }
    }
}
