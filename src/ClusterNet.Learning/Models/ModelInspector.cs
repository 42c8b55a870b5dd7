using System.Runtime.InteropServices;
using ClusterNet.Core.Faults;
using static TorchSharp.torch;

namespace ClusterNet.Learning.Models;

/// <summary>
/// Runs a new module once, on two samples of zeros in training mode, and refuses what can't be trained reproducibly on several machines: draws from libtorch's default generator, and buffers that
/// training changes. Call with <see cref="ModelCatalog"/>'s lock held.
/// </summary>
internal sealed class ModelInspector(string kind, nn.Module<Tensor, Tensor> module, IReadOnlyList<int> inputShape, int outputs)
{
    private const string Place = "model";
    private readonly Dictionary<string, IReadOnlyList<int>> _shapes = [];
    private readonly List<string> _order = [];

    /// <summary>Checks, and describes what was seen.</summary>
    /// <exception cref="InputException">the model can't be trained here; says which module is the cause and what to use instead</exception>
    public ModelSummary Inspect()
    {
        var faults = Parameters().Concat(TorchDropout()).ToList();
        if (faults.Count == 0)
            faults.AddRange(Trial());
        if (faults.Count > 0)
            throw new InputException(faults);
        return Summarise();
    }

    private IEnumerable<Fault> Parameters()
    {
        var any = false;
        foreach (var (name, parameter) in module.named_parameters())
        {
            any = true;
            if (parameter.dtype != float32)
                yield return new Fault(Place, $"parameter '{name}' of model '{kind}' is {parameter.dtype}; parameters must be float32");
            else if (!parameter.requires_grad)
                yield return new Fault(Place, $"parameter '{name}' of model '{kind}' is frozen; register it as a buffer, which no optimizer touches");
        }
        if (!any)
            yield return new Fault(Place, $"model '{kind}' has no parameters: nothing to train. Are its modules registered (RegisterComponents)?");
    }

    private IEnumerable<Fault> TorchDropout() =>
        from named in module.named_modules()
        let type = named.module.GetType()
        where type.Assembly == typeof(TorchSharp.torch).Assembly && type.Name.Contains("Dropout", StringComparison.Ordinal)
        select new Fault(Place, $"module '{named.name}' of model '{kind}' is torch's own {type.Name}, which draws from the process's generator, so that no run could be repeated; "
            + "use context.Dropout(p), or context.Random.Generator in a module of your own");

    private List<Fault> Trial()
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        module.train();
        var before = module.named_buffers().Select(named => (named.name, Value: named.buffer.clone())).ToList();
        long[] shape = [2, .. inputShape.Select(axis => (long)axis)];
        Tensor output;
        var drew = true;
        try
        {
            using var hooks = new ShapeHooks(this);
            output = module.call(zeros(shape));
            // another thread may use the default generator as well; a model that draws from it does so every time
            for (var attempt = 0; drew && attempt < 5; attempt++)
            {
                using var state = get_rng_state();
                module.call(zeros(shape)).Dispose();
                using var after = get_rng_state();
                drew = !state.equal(after).all().item<bool>();
            }
        }
        catch (Exception e) when (e is ExternalException or ArgumentException or InvalidOperationException)
        {
            return [new Fault(Place, $"model '{kind}' can't compute a sample of shape [{string.Join(", ", inputShape)}]: {FirstLine(e.Message)}")];
        }
        var faults = new List<Fault>();
        if (drew)
        {
            faults.Add(new Fault(Place, $"model '{kind}' draws from the process's random generator in training (torch's dropout function, or the dropout of torch's own "
                + "RNN, GRU or LSTM), so that no run could be repeated; use context.Dropout(p) between single layers, or context.Random.Generator"));
        }
        if (output.dtype != float32 || !output.shape.SequenceEqual([2L, outputs]))
        {
            faults.Add(new Fault(Place, $"model '{kind}' makes {output.dtype} [{string.Join(", ", output.shape)}] of 2 samples; "
                + $"the loss needs Float32 [2, {outputs}] (context.Outputs)"));
        }
        foreach (var (name, value) in before)
        {
            if (!module.named_buffers().First(named => named.name == name).buffer.equal(value).all().item<bool>())
            {
                faults.Add(new Fault(Place, $"buffer '{name}' of model '{kind}' changes in training (batch normalisation?), differently on every worker; "
                    + "use GroupNorm or LayerNorm, which keep none"));
            }
        }
        return faults;
    }

    private IEnumerable<(string name, nn.Module module)> NamedModules => module.named_modules();

    private static string FirstLine(string message) => message.Split('\n')[0];

    private ModelSummary Summarise()
    {
        var layers = new List<LayerSummary>();
        foreach (var (name, layer) in module.named_modules().Where(named => named.module.named_children().All(child => child.module is not nn.Module<Tensor, Tensor>)))
        {
            // what lies in a module of several results (a GRU in a layer) is told with the layer
            if (!layers.Any(outer => name.StartsWith(outer.Name + ".", StringComparison.Ordinal)))
                layers.Add(new LayerSummary(name, layer.GetName(), _shapes.GetValueOrDefault(name, []), Count(layer)));
        }
        if (layers.Count == 0)
            layers.Add(new LayerSummary(kind, module.GetName(), [outputs], Count(module)));
        // modules know the order they were registered in; the trial run knows the one they were used in
        return new ModelSummary([.. layers.OrderBy(layer => _order.IndexOf(layer.Name) is var at and >= 0 ? at : int.MaxValue)], Count(module), inputShape);
    }

    private static int Count(nn.Module layer) => checked((int)layer.parameters().Sum(parameter => parameter.numel()));

    private sealed class ShapeHooks : IDisposable
    {
        private readonly List<Action> _remove = [];

        public ShapeHooks(ModelInspector inspector)
        {
            foreach (var (name, layer) in inspector.NamedModules)
            {
                if (layer is nn.Module<Tensor, Tensor> simple)
                {
                    var remover = simple.register_forward_hook((_, _, output) =>
                    {
                        if (inspector._shapes.TryAdd(name, [.. output.shape.Skip(1).Select(axis => (int)axis)]))
                            inspector._order.Add(name);
                        return output;
                    });
                    _remove.Add(remover.remove);
                }
            }
        }

        public void Dispose() => _remove.ForEach(remove => remove());
    }
}
