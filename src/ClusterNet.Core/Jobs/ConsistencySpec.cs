namespace ClusterNet.Core.Jobs;

/// <summary>How far the workers of a job may be apart.</summary>
public enum ConsistencyMode
{
    /// <summary>Bulk synchronous: every gradient of a step is computed with the same weights. The result does not depend on the cluster.</summary>
    Bsp,

    /// <summary>Stale synchronous: the weights of a gradient of step t have seen all of the steps before t - s (Ho et al. 2013, section 3).</summary>
    Ssp,

    /// <summary>Asynchronous: nobody waits for anybody.</summary>
    Asp,
}

/// <summary>How a gradient is written on its way to a shard. All but the first lose something, which is added to the same slice's next gradient (error feedback, Karimireddy et al. 2019).</summary>
public enum GradientCodec
{
    /// <summary>As it is: 4 bytes a value.</summary>
    Fp32,

    /// <summary>The upper half of a float32, rounded: 2 bytes a value.</summary>
    Bf16,

    /// <summary>Whole numbers from -127 to 127 with a scale for each block: 1 byte a value.</summary>
    Int8,

    /// <summary>The largest values of each block and their places: 6 bytes for each of them.</summary>
    TopK,
}

/// <summary>How weights are written on their way to a worker that trains. Evaluations, checkpoints and model versions always see float32.</summary>
public enum WeightCodec
{
    /// <summary>As they are.</summary>
    Fp32,

    /// <summary>Rounded to the upper half of a float32.</summary>
    Bf16,
}
