using TorchSharp.Modules;
using static TorchSharp.torch;

namespace ClusterNet.Learning.Models;

/// <summary>
/// A run of modules that are called one after the other, with parameters that lie side by side in the flat vector. The backward pass goes through a model stage by stage, from the last to the first, so that the
/// gradients of a stage are there, and can travel, while those of the stages before it are still being computed. The operations are those of one backward pass over the whole, so are the bits.
/// </summary>
/// <param name="Modules">called in turn</param>
/// <param name="FirstParameter">index of its first parameter</param>
/// <param name="EndParameter">index behind its last parameter</param>
internal sealed record Stage(IReadOnlyList<nn.Module<Tensor, Tensor>> Modules, int FirstParameter, int EndParameter)
{
    /// <summary>A stage with fewer parameters goes together with the one behind it: each costs some tens of microseconds.</summary>
    private const long LeastParameters = 1 << 16;

    /// <summary>The stages of a model, in the order they are called; one where it is no plain sequence.</summary>
    public static IReadOnlyList<Stage> Of(nn.Module<Tensor, Tensor> module, IReadOnlyList<IntPtr> parameters)
    {
        IReadOnlyList<Stage> whole = [new Stage([module], 0, parameters.Count)];
        if (module.GetType() != typeof(Sequential))
            return whole;
        var children = module.children().ToArray();
        var own = children.SelectMany(child => child.parameters()).Select(parameter => parameter.Handle).ToArray();
        // a parameter that two modules share has the sum of two gradients
        if (!own.SequenceEqual(parameters) || !children.All(child => child is nn.Module<Tensor, Tensor>))
            return whole;
        var stages = new List<Stage>();
        var (modules, end, first, size) = (new List<nn.Module<Tensor, Tensor>>(), parameters.Count, parameters.Count, 0L);
        foreach (var child in children.Reverse())
        {
            modules.Insert(0, (nn.Module<Tensor, Tensor>)child);
            first -= child.parameters().Count();
            size += child.parameters().Sum(parameter => parameter.numel());
            if (size < LeastParameters || first == 0 || !LeavesItsInput(child))
                continue;
            stages.Insert(0, new Stage(modules, first, end));
            (modules, end, size) = ([], first, 0);
        }
        if (modules.Count > 0)
            stages.Insert(0, new Stage(modules, 0, end));
        return stages;
    }

    /// <summary>What goes in where a stage begins is a leaf of its graph, which no module may change in place.</summary>
    private static bool LeavesItsInput(nn.Module child) =>
        child is Linear or Conv1d or Conv2d or Conv3d || child.GetType().Assembly == typeof(Stage).Assembly;

    /// <summary>Calls the modules. What lies in between is disposed of with the scope.</summary>
    public Tensor Call(Tensor input) => Modules.Aggregate(input, (value, module) => module.call(value));
}
